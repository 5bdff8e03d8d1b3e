"""Webhooks of providers that receive mail for us: each turned into the same raw mail and envelope."""
