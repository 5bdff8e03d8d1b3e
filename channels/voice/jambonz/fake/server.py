"""The fake jambonz: an application of it that points at one gateway."""

from base64 import b64encode
from typing import Any

from channels.voice.jambonz.fake.call import FakeJambonzCall
from channels.voice.jambonz.fake.outgoing import FakeOutgoingCall
from channels.voice.jambonz.routes import PATH


class FakeJambonz:
    """Calls a gateway at `url` (http or https), with the login that its application has for it."""

    def __init__(self, url: str, login: str, *, streams: bool = True) -> None:
        """`streams`: whether the application's voice can be streamed to."""
        self.streams = streams
        self.calls: list[FakeJambonzCall] = []
        self.outgoing: list[FakeOutgoingCall] = []
        """Those of them that were asked for."""
        self._authorization = f"Basic {b64encode(login.encode()).decode()}"
        self.url = url
        """Of the gateway."""

    @property
    def _socket(self) -> str:
        return f"ws{self.url.removeprefix('http')}{PATH}"

    async def call(self, sender: str, recipient: str, *, trunk: str = "carrier") -> FakeJambonzCall:
        """Somebody calls. Raises aiohttp.ClientError where the gateway refuses the connection."""
        call = FakeJambonzCall(self._socket, self._authorization, sender, recipient, streams=self.streams)
        self.calls.append(call)
        await call.start(trunk)
        return call

    async def dial(self, asked: dict[str, Any]) -> FakeOutgoingCall:
        """The API has been asked for a call: it rings, until the test has it answered."""
        call = FakeOutgoingCall(self._socket, self._authorization, asked, streams=self.streams)
        self.calls.append(call)
        self.outgoing.append(call)
        await call.ring()
        return call

    async def stop(self) -> None:
        """Every caller hangs up, and what is ending has ended."""
        for call in self.calls:
            await call.hang_up()
