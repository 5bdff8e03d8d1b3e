"""Calls carried by jambonz, over its WebSocket."""
