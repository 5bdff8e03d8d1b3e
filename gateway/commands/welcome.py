"""What `gateway dev` prints once it is ready: what to open, and commands to copy that try each channel."""

import secrets
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from shlex import quote
from urllib.parse import urlsplit

import click

from channels.twilio.signature import sign
from gateway import __version__
from gateway.domain.message import Channel
from gateway.settings import AddressConfig, Settings, VoiceMode

_PERSON = "+15550123"
"""Whose number the examples use; a number that nobody has."""
_MAILBOX = "me@example.org"


@dataclass(frozen=True, slots=True)
class Ready:
    """The places of the ready line."""

    http: str
    smtp: str

    @classmethod
    def from_line(cls, line: str) -> "Ready":
        """Read `ready http://HOST:PORT smtp://HOST:PORT`."""
        _, http, smtp = line.split(" ")
        return cls(http, smtp)


@dataclass(frozen=True, slots=True)
class _Webhook:
    """A request as Twilio would send it."""

    path: str
    fields: Mapping[str, str]

    def curl(self, settings: Settings, ready: Ready) -> Iterator[str]:
        """The command, signed: lines that a shell reads as one."""
        token = settings.twilio_auth_tokens[0].get_secret_value()
        # behind a port that was chosen for us, or a tunnel, providers see another address than we open
        url = settings.public_url + self.path
        yield f"curl -sS {quote(ready.http + self.path)} \\"
        yield f"  -H {quote(f'x-twilio-signature: {sign(token, url, tuple(self.fields.items()))}')} \\"
        fields = [f"  --data-urlencode {quote(f'{name}={value}')}" for name, value in self.fields.items()]
        yield from (f"{field} \\" for field in fields[:-1])
        yield fields[-1]


def welcome(settings: Settings, ready: Ready, *, made_up: frozenset[str]) -> Iterator[str]:
    """The lines after the ready line. `made_up`: fields of the settings that `dev` invented."""
    yield ""
    yield click.style(f"Channel Gateway {__version__}, everything in this process", bold=True)
    key = settings.api_keys[0].key.get_secret_value() if "api_keys" in made_up else None
    yield from _places(settings, ready, key)
    yield from _heading("Addresses")
    for entry in settings.config.addresses.values():
        yield f"  {entry.channel.value:6} {entry.address:28} agent {entry.agent}"
    yield from _try_api(key, ready)
    yield from _try_sms(settings, ready)
    yield from _try_mail(settings, ready)
    yield from _try_call(settings, ready)
    yield from _try_telephone(settings, ready, invented="jambonz_webhook_login" in made_up)
    yield ""
    yield "All of it played once by itself: gateway demo.  Ctrl-C ends this process."


def _places(settings: Settings, ready: Ready, key: str | None) -> Iterator[str]:
    path = settings.config_path
    shown = key or "as in GATEWAY_API_KEYS"
    note = "  (admin, until this process ends)" if key else ""
    yield f"  Console   {ready.http}/console"
    yield f"  API       {ready.http}/docs (a browser asks: no user name, the API key as password)"
    yield f"  API key   {click.style(shown, fg='green')}{note}"
    yield f"  Database  {settings.sqlite_path or 'PostgreSQL'}"
    yield f"  Config    {path or 'built in; write a gateway.toml to have your own addresses and agents'}"


def _try_api(key: str | None, ready: Ready) -> Iterator[str]:
    json = "content-type: application/json"
    yield from _heading("Talk to the agent over the API")
    yield f"  KEY={quote(key)}" if key else "  KEY=  # one of GATEWAY_API_KEYS"
    yield f'  post() {{ curl -sS {ready.http}/v1$1 -H "x-api-key: $KEY" -H {quote(json)} -d "$2"; }}'
    yield "  get() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' $1; }"
    yield '  PERSON=$(post /identity/resolve \'{"channel": "api", "identifier": "me"}\' | get end_user_id)'
    yield (
        '  CONVERSATION=$(post /conversations "{\\"channel\\": \\"api\\", '
        '\\"end_user_id\\": \\"$PERSON\\"}" | get id)'
    )
    yield '  post /conversations/$CONVERSATION/turns \'{"user_message": "Hello there"}\''


def _try_sms(settings: Settings, ready: Ready) -> Iterator[str]:
    entry = _first(settings, Channel.SMS)
    if entry is None:
        return
    yield from _heading("Send an SMS, signed as Twilio signs it")
    message = {
        "MessageSid": f"SM{secrets.token_hex(16)}",
        "From": _PERSON,
        "To": entry.address,
        "Body": "Hello by SMS",
    }
    yield from _indented(_Webhook("/webhooks/twilio/sms", message).curl(settings, ready))
    yield f'  # and what became of it: curl -sS {ready.http}/v1/conversations -H "x-api-key: $KEY"'


def _try_mail(settings: Settings, ready: Ready) -> Iterator[str]:
    entry = _first(settings, Channel.EMAIL)
    if entry is None:
        return
    place = urlsplit(ready.smtp)
    text = f"From: {_MAILBOX}\\nTo: {entry.address}\\nSubject: Hello\\n\\nHello by mail"
    program = (
        f"import smtplib; smtplib.SMTP({place.hostname!r}, {place.port})"
        f".sendmail({_MAILBOX!r}, {entry.address!r}, '{text}')"
    )
    yield from _heading("Send a mail")
    yield f'  python3 -c "{program}"'


def _try_call(settings: Settings, ready: Ready) -> Iterator[str]:
    entry = _first(settings, Channel.VOICE)
    if entry is None or entry.voice_mode is not VoiceMode.WEBHOOK:
        return
    call = {"CallSid": f"CA{secrets.token_hex(16)}", "From": _PERSON, "To": entry.address}
    yield from _heading("Call: what the caller hears first, as TwiML")
    yield from _indented(_Webhook("/webhooks/twilio/voice", call).curl(settings, ready))


def _try_telephone(settings: Settings, ready: Ready, *, invented: bool) -> Iterator[str]:
    entry, login = _first(settings, Channel.VOICE), settings.jambonz_webhook_login
    if entry is None or login is None:
        return
    shown = quote(login.get_secret_value()) if invented else '"$JAMBONZ_WEBHOOK_LOGIN"'
    yield from _heading("Telephone: type what you say, or keys; an empty line hangs up")
    yield f"  {quote(sys.executable)} -m channels.voice.jambonz.fake --url {ready.http} \\"
    yield f"  --login {shown} --to {quote(entry.address)}"


def _first(settings: Settings, channel: Channel) -> AddressConfig | None:
    return next(iter(settings.config.addresses_of(channel)), None)


def _heading(text: str) -> Iterator[str]:
    yield ""
    yield click.style(text, bold=True)


def _indented(lines: Iterator[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)
