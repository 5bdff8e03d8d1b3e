"""E-mail: raw mail in, threaded replies out."""
