"""`make demo`: one pass through every channel, over real sockets, on the embedded default.

It runs the whole gateway in this process beside a fake Twilio and a mail sink, plays the people outside and
the person inside, prints what each of them sees, and checks it: one that cannot fail would show nothing.
"""

from gateway.demo.script import demonstrate, run

__all__ = ["demonstrate", "run"]
