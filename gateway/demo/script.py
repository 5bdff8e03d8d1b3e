"""The script of the demonstration: its scenes in order, and how it ends."""

import asyncio
import os
import smtplib
import sys
import time
from collections.abc import Awaitable, Callable

import aiohttp

from channels.twilio.fake import CallError, WebhookUnreachable
from gateway.app import StartRefused
from gateway.demo.api import api_turns
from gateway.demo.call import phone_call
from gateway.demo.expect import Mismatch
from gateway.demo.handoff import handoff
from gateway.demo.mail import mails
from gateway.demo.page import Page
from gateway.demo.sms import texts
from gateway.demo.stage import Stage, staged
from gateway.log import configure_logging

LIMIT_SECONDS = 60.0
"""For everything; it usually takes two or three."""

Scene = Callable[[Stage, Page], Awaitable[None]]

SCENES: tuple[Scene, ...] = (texts, mails, phone_call, api_turns, handoff)

_FAILURES = (
    Mismatch,
    StartRefused,
    CallError,
    WebhookUnreachable,
    aiohttp.ClientError,
    smtplib.SMTPException,
    OSError,
)
"""What a scene ends with where the gateway does not do what it should."""


async def demonstrate(write: Callable[[str], None], *, colour: bool = False) -> int:
    """Play all scenes, writing line by line; 0, or 1 after one line that says what went wrong."""
    page = Page(write, colour=colour)
    began = time.monotonic()
    page.line("Channel Gateway: everything below happens now, over real sockets, and is kept nowhere.")
    try:
        async with asyncio.timeout(LIMIT_SECONDS), staged() as stage:
            for scene in SCENES:
                await scene(stage, page)
    except _FAILURES as failure:
        page.line()
        page.line(f"demo failed: {' '.join(str(failure).split()) or type(failure).__name__}")
        return 1
    page.line()
    page.line(f"All of it as it should be, in {time.monotonic() - began:.1f} s.")
    return 0


def run(write: Callable[[str], None] = print) -> int:
    """`gateway demo`: the exit code. Colours where standard output is a terminal and NO_COLOR is not set."""
    configure_logging("text", "error")
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return asyncio.run(demonstrate(write, colour=colour))
