"""A call of the fake jambonz that was asked for by its API: it rings, until somebody answers or does not."""

from typing import Any

from channels.voice.jambonz.fake.call import FakeJambonzCall


class FakeOutgoingCall(FakeJambonzCall):
    """A call, from the side of whoever is called."""

    def __init__(self, url: str, authorization: str, asked: dict[str, Any], *, streams: bool) -> None:
        """`asked`: the request that began it."""
        super().__init__(url, authorization, asked["from"], asked["to"]["number"], streams=streams)
        self.asked = asked
        self._info |= {"direction": "outbound", "customerData": asked.get("tag")}

    @property
    def rings(self) -> bool:
        """Whether nobody has answered yet."""
        return self.status in ("trying", "ringing")

    async def ring(self) -> None:
        """It rings."""
        await self.wire.connect()
        for self.status in ("trying", "ringing"):
            await self.wire.report("call:status", self.info)

    async def pick_up(self) -> None:
        """They answer."""
        self.status = "in-progress"
        self._put(await self.wire.request("session:new", self.info))
        self._running = self.spawn(self._run())

    async def refuse(self, status: str = "busy") -> None:
        """They do not."""
        await self._end({"call_status": status})

    async def screened(self, what: str) -> None:
        """Machine detection has noticed something: `amd_machine_detected`, `amd_human_detected`."""
        await self.hook(self.asked["amd"]["actionHook"], {"type": what})
