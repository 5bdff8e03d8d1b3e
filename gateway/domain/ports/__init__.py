"""What the core needs from outside, and what channels are handed: small protocols, one module a seam."""
