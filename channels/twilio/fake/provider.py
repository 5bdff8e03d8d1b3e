"""What the fakes of text providers share: a server on loopback, a ledger, faults, reports on what is sent."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

from aiohttp import web

from channels.twilio.fake.callbacks import Report, StatusCallbacks, Step
from channels.twilio.fake.control import Control
from channels.twilio.fake.faults import Dice, Faults
from channels.twilio.fake.ledger import Ledger, Message
from channels.twilio.fake.webhooks import WebhookAnswer

MAX_REQUEST_BYTES = 256 * 1024


class FakeProvider(ABC):
    """One account at a provider of texts, served on a loopback port."""

    def __init__(
        self,
        report: Report,
        ledger: Ledger,
        *,
        webhook_url: str,
        statuses: Sequence[str],
        callback_delay: float,
    ) -> None:
        """`statuses`: what a message goes through, one step each `callback_delay` seconds.

        The first status is that of the answer and is not reported; a later one may name an error code
        (`undelivered:30003`).
        """
        self.webhook_url = webhook_url
        """The base URL the gateway is known under (its `GATEWAY_PUBLIC_URL`); it may be set later."""
        self.url = ""
        """Where it listens; what the gateway must be told as the provider's URL."""
        self._steps = [Step.parse(status) for status in statuses]
        self._ledger = ledger
        self._dice = Dice()
        self._callbacks = StatusCallbacks(report, self._dice, callback_delay)
        self._runner: web.AppRunner | None = None

    @abstractmethod
    def routes(self) -> Iterable[web.RouteDef]:
        """The provider's own API."""

    @abstractmethod
    async def text(self, from_: str, to: str, body: str, *, via: str = "", **extra: str) -> WebhookAnswer:
        """A person texts one of our numbers; returns what the webhook answered. Raises WebhookUnreachable."""

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen, and return the base URL. Raises OSError where the port is taken."""
        app = web.Application(client_max_size=MAX_REQUEST_BYTES)
        app.add_routes([*self.routes(), *Control(self, self._ledger).routes()])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port, backlog=1024).start()
        self._callbacks.start()
        self.url = f"http://{host}:{self._runner.addresses[0][1]}"
        return self.url

    async def stop(self) -> None:
        """Close everything; reports that have not been sent are not sent. The ledger can still be read."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        await self._callbacks.stop()

    @property
    def faults(self) -> Faults:
        """The faults in force; set them at any time."""
        return self._dice.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._dice.faults = faults

    @property
    def callbacks(self) -> StatusCallbacks:
        """The reports on sent messages: switch (`enabled`), counts (`sent`, `failed`), `settled()`."""
        return self._callbacks

    @property
    def messages(self) -> Sequence[Message]:
        """What was sent through the API, in order of acceptance."""
        return self._ledger.outbound
