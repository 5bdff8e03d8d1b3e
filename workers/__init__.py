"""The process roles: one module per role, each a loop around one use case of the core."""
