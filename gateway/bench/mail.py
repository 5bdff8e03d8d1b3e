"""What mail costs: reading it, beside the standard library's reader, and taking it in (see `mail_flow`).

Both are given the same mails of some 10 KB and asked for the same: the headers that matter, the text, the
attachments. Ours also finds the new text, tells what kind of mail it is, and survives what is hostile.
"""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default
from statistics import median
from typing import Any

from channels.email.parse import parse_mail
from channels.email.reader import MailReader
from gateway.bench import mail_flow
from gateway.bench.machine import Machine, this_machine
from gateway.bench.report import table

STDLIB, PARSER, PROCESSES = "standard library", "parser", "reading processes"

_HEADERS = (
    "from",
    "to",
    "cc",
    "subject",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "auto-submitted",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    mails: int
    """In each round."""
    rounds: int


FULL = Size(mails=1_000, rounds=5)
QUICK = Size(mails=5, rounds=1)


@dataclass(frozen=True, slots=True)
class MailFigures:
    """Mails a second of each round, by who read them."""

    size: Size
    machine: Machine
    bytes_of_a_mail: int
    rates: dict[str, list[float]] = field(default_factory=dict)
    flow: list[mail_flow.FlowFigures] = field(default_factory=list)
    """How it is taken in and answered: one."""

    def ratio(self, name: str) -> float:
        """How many times as fast as the standard library."""
        return median(self.rates[name]) / median(self.rates[STDLIB])


def measure(size: Size) -> MailFigures:
    """Read the same mails in each way, by turns."""
    mails = _mails(size.mails)
    load = os.getloadavg()[0]
    figures = MailFigures(size, this_machine(None, load), sum(map(len, mails)) // len(mails))
    for _ in range(size.rounds):
        for name, read in ((STDLIB, _read_plainly), (PARSER, parse_mail)):
            figures.rates.setdefault(name, []).append(_rate(mails, read))
        figures.rates.setdefault(PROCESSES, []).append(asyncio.run(_rate_of_processes(mails)))
    figures.flow.append(mail_flow.measure(mails, size.rounds))
    return figures


def as_object(figures: MailFigures) -> dict[str, Any]:
    """Everything, for JSON."""
    return {
        "scenario": "mail",
        "machine": asdict(figures.machine),
        "size": asdict(figures.size),
        "bytes_of_a_mail": figures.bytes_of_a_mail,
        "subjects": {
            name.replace(" ", "_"): {"mails_per_second": [round(rate, 1) for rate in rates]}
            for name, rates in figures.rates.items()
        },
        "ratios": {
            f"{name.replace(' ', '_')}_to_standard_library": round(figures.ratio(name), 3)
            for name in (PARSER, PROCESSES)
        },
        "smtp": mail_flow.as_object(figures.flow[0]),
    }


def as_text(figures: MailFigures) -> str:
    """A table, with what it was measured on and how."""
    size = figures.size
    rows = [
        (name, f"{median(rates):.0f}", f"{min(rates):.0f} to {max(rates):.0f}", f"{figures.ratio(name):.2f}")
        for name, rates in figures.rates.items()
    ]
    return "\n".join(
        [
            figures.machine.line,
            f"{size.mails} mails of {figures.bytes_of_a_mail / 1000:.1f} kB; "
            f" medians of {size.rounds} rounds",
            "",
            *table([("", "mails/s", "spread", "to standard library"), *rows]),
            "",
            *mail_flow.as_lines(figures.flow[0]),
        ]
    )


def _rate(mails: Sequence[bytes], read: Callable[[bytes], object]) -> float:
    began = time.perf_counter()
    for mail in mails:
        read(mail)
    return len(mails) / (time.perf_counter() - began)


async def _rate_of_processes(mails: Sequence[bytes]) -> float:
    reader = MailReader()
    await asyncio.gather(*(reader.read(mail) for mail in mails[:2]))  # what starts them is not counted
    began = time.perf_counter()
    await asyncio.gather(*map(reader.read, mails))
    seconds = time.perf_counter() - began
    await reader.close()
    return len(mails) / seconds


def _read_plainly(raw: bytes) -> object:
    """What an adapter on the standard library would have to do."""
    mail = message_from_bytes(raw, policy=default)
    assert isinstance(mail, EmailMessage)
    headers = [str(mail[name]) for name in _HEADERS]
    body = mail.get_body(("plain", "html"))
    text = body.get_content() if body is not None else ""
    files = [(part.get_filename(), part.get_payload(decode=True)) for part in mail.iter_attachments()]
    return headers, text, files


def _mails(count: int) -> list[bytes]:
    """Replies as people send them: text alone, text and HTML, with a file, HTML alone."""
    return [_mail(number) for number in range(count)]


def _mail(number: int) -> bytes:
    shape = number % 4
    mail = EmailMessage(SMTP)
    mail["From"] = f"Ana Díaz <ana{number}@example.com>"
    mail["To"] = "Support <support@example.org>, Bo <bo@example.com>"
    mail["Subject"] = f"Re: Rechnung für März, Nummer {number}"
    mail["Date"] = "Mon, 23 Nov 2026 09:00:00 +0100"
    mail["Message-ID"] = f"<{number}@example.com>"
    mail["In-Reply-To"] = "<a@example.org>"
    mail["References"] = "<b@example.org> <a@example.org>"
    for hop in range(4):
        mail["Received"] = (
            f"from mx{hop}.example.com by mx{hop + 1}.example.com with ESMTPS; Mon, 23 Nov 2026"
        )
    new = [f"Line {i} of what is new in mail {number}, as a person writes it." for i in range(12)]
    old = [
        f"Line {i} of what was said before, und zwar für längere Zeit." for i in range(60 if shape else 100)
    ]
    header = "On Mon, 23 Nov 2026 at 08:00, Support <support@example.org> wrote:"
    text = "\n".join([*new, "", header, *(f"> {line}" for line in old)])
    html = "".join(
        [
            *(f'<div dir="ltr" style="font-family:sans-serif">{line}</div>' for line in new),
            f'<div class="gmail_quote"><div>{header}</div><blockquote class="gmail_quote">',
            *(f"<div>{line}</div>" for line in old),
            "</blockquote></div>",
        ]
    )
    if shape == 3:
        mail.set_content(html, subtype="html")
        return mail.as_bytes()
    mail.set_content(text)
    if shape == 1:
        mail.add_alternative(html, subtype="html")
    elif shape == 2:
        content = bytes(range(256)) * 16
        mail.add_attachment(content, maintype="application", subtype="pdf", filename="bill.pdf")
    return mail.as_bytes()
