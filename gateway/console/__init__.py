"""The operators' console: static files over the API.

It keeps nothing, and may do no more than the key that it is given.
"""

from gateway.console.routes import router

__all__ = ["router"]
