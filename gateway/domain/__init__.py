"""Types and rules of the gateway: no I/O, nothing but the standard library, pydantic and phonenumbers."""
