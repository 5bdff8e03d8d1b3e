"""A stand-in for jambonz: opens calls at the gateway as jambonz does, and acts on the verbs it is given."""

from channels.voice.jambonz.fake.api import FakeJambonzApi, Fault
from channels.voice.jambonz.fake.call import FakeJambonzCall
from channels.voice.jambonz.fake.outgoing import FakeOutgoingCall
from channels.voice.jambonz.fake.server import FakeJambonz

__all__ = ["FakeJambonz", "FakeJambonzApi", "FakeJambonzCall", "FakeOutgoingCall", "Fault"]
