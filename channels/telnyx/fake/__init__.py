"""A fake Telnyx, for tests and for trying without an account."""

from channels.telnyx.fake.server import FakeTelnyx

__all__ = ["FakeTelnyx"]
