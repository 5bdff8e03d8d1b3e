"""SIPp (Debian: sip-tester): calls as other people's software makes them, driven by a scenario of steps."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from tests.services.report import absent

SECONDS = 60
"""For all calls of a scenario."""
_PLAN = '<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="{name}">\n{steps}\n</scenario>\n'
_SDP = """v=0
o=- 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 96
a=rtpmap:0 PCMU/8000
a=rtpmap:96 telephone-event/8000"""


def find_sipp() -> str:
    """The program; the test is skipped, or fails, without it."""
    found = shutil.which("sipp")
    if found is None:
        absent("SIPp", "no sipp on PATH")
    return found


def send(lines: str, body: str = "", *, lost: bool = False) -> str:
    """Send a message: its lines, and a body. SIPp's variables stand in square brackets."""
    length = "Content-Length: [len]"
    text = "\n".join([*lines.strip().splitlines(), length, "", *body.splitlines()])
    # Late, so that a slow machine is not a lost datagram: SIPp gives up at an answer that it gets twice.
    repeated = "" if lost else ' retrans="8000"'
    return f"<send{repeated}><![CDATA[\n{text}\n\n]]></send>"


def receive(what: str | int, *, optional: bool = False, actions: str = "") -> str:
    """Wait for a request or a status."""
    kind = "response" if isinstance(what, int) else "request"
    more = ' optional="true"' if optional else ""
    remembered = ' rrs="true"' if what == 200 else ""
    return f'<recv {kind}="{what}"{more}{remembered}>{actions}</recv>'


def run(command: str) -> str:
    """Run a program; the scenario goes on beside it."""
    return f'<nop><action><exec command="{escape(command)}"/></action></nop>'


def goto(label: int, if_set: int | None = None) -> str:
    """Go on at a label; `if_set`: only where this variable has a value."""
    test = "" if if_set is None else f' test="{if_set}"'
    return f'<nop next="{label}"{test}/>'


def label(number: int) -> str:
    """A place to go on at."""
    return f'<label id="{number}"/>'


def invite(branch: str = "[branch]") -> str:
    """A call to our number."""
    return send(
        f"""
INVITE sip:+15550100@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch={branch}
From: <sip:+14155550123@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:+15550100@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:caller@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Type: application/sdp""",
        _SDP,
    )


def within(method: str, number: int, more: str = "", body: str = "") -> str:
    """A request within the call that we made."""
    return send(
        f"""
{method} sip:+15550100@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/UDP [local_ip]:[local_port];branch=[branch]
From: <sip:+14155550123@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To: <sip:+15550100@[remote_ip]:[remote_port]>[peer_tag_param]
Call-ID: [call_id]
CSeq: {number} {method}
Contact: <sip:caller@[local_ip]:[local_port]>
Max-Forwards: 70
{more}""",
        body,
        lost=method == "ACK",
    )


def reply(status: str, more: str = "", body: str = "", *, tag: str = "", cseq: str = "") -> str:
    """Answer the request received last, or the one with this CSeq in its transaction."""
    return send(
        f"""
SIP/2.0 {status}
[last_Via:]
[last_From:]
[last_To:]{tag}
[last_Call-ID:]
{f"CSeq: {cseq}" if cseq else "[last_CSeq:]"}
Contact: <sip:here@[local_ip]:[local_port]>
{more}""",
        body,
        lost=True,
    )


def call(*steps: str, actions: str = "") -> tuple[str, ...]:
    """A call that is answered, and what happens on it."""
    answered = (receive(100, optional=True), receive(180, optional=True), receive(200, actions=actions))
    return (invite(), *answered, within("ACK", 1), *steps)


def key(number: int, pressed: str) -> tuple[str, ...]:
    """A key, by INFO."""
    kind = "Content-Type: application/dtmf-relay"
    return (within("INFO", number, kind, f"Signal={pressed}\nDuration=160"), receive(200))


def keys(first: int, pressed: str) -> tuple[str, ...]:
    """Several, one after the other."""
    return tuple(step for n, one in enumerate(pressed, first) for step in key(n, one))


def bye(number: int) -> tuple[str, ...]:
    """Hang up."""
    return (within("BYE", number), receive(200))


def hung_up() -> tuple[str, ...]:
    """Be hung up."""
    return (receive("BYE"), reply("200 OK"))


def session() -> tuple[str, str]:
    """What goes with an answer to an INVITE."""
    return "Content-Type: application/sdp", _SDP


class Sipp:
    """One SIPp process."""

    def __init__(
        self, directory: Path, name: str, steps: Sequence[str], *, port: int, media_port: int
    ) -> None:
        self._program = find_sipp()
        self._directory = directory
        self._name = name
        self._errors = directory / f"{name}.err"
        self._ports = (port, media_port)
        (directory / f"{name}.xml").write_text(_PLAN.format(name=name, steps="\n".join(steps)))
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, peer: tuple[str, int], calls: int = 1) -> None:
        """Begin; `peer` is whom it calls, if it calls."""
        port, media = self._ports
        self._process = await asyncio.create_subprocess_exec(
            self._program,
            *("-sf", str(self._directory / f"{self._name}.xml"), "-m", str(calls)),
            *("-l", str(calls), "-r", str(calls), "-i", "127.0.0.1", "-p", str(port)),
            *("-mi", "127.0.0.1", "-mp", str(media)),
            *("-nostdin", "-timeout", f"{SECONDS}s", "-timeout_error"),
            # A lost datagram ends a call, and its own buffer holds less than what comes for fifty at once.
            *("-buff_size", "1000000"),
            *("-trace_err", "-error_file", str(self._errors)),
            f"{peer[0]}:{peer[1]}",
            cwd=self._directory,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

    async def finish(self) -> None:
        """Wait for its end; every call must have gone as planned."""
        assert self._process is not None
        output, _ = await self._process.communicate()
        if self._process.returncode != 0:
            errors = self._errors.read_text("utf-8", "replace") if self._errors.exists() else ""
            raise AssertionError(f"{self._name}: {errors[-3000:] or output.decode(errors='replace')[-3000:]}")

    def stop(self) -> None:
        """End it if it still runs."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
