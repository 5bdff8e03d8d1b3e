"""The SMS channel: what a text costs, how a reply becomes parts, and the providers that carry them."""
