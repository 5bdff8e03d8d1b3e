"""Channel adapters: one folder per channel, and the only place where vendor SDKs appear."""
