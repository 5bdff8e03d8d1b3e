"""Warm transfers on Twilio: documents for the caller and for the person, their webhooks, the calls."""
