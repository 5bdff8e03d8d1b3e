"""Calls over ConversationRelay: Twilio listens and speaks, the words travel over a WebSocket."""
