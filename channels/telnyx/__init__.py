"""Telnyx: signature, REST client, error table, and its fake."""
