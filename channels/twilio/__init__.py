"""Twilio, for SMS and for voice: signature, REST client, error table, and a fake of the whole service."""
