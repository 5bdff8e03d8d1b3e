"""The reference voice host's readers and memory: hostile datagrams, keys, what a kill leaves."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.voice.host.ledger import Ledger
from channels.voice.host.rtp import KEYS, key_of
from channels.voice.host.sdp import own_session, read_session
from channels.voice.host.sip.message import (
    MAX_HEADERS,
    MalformedMessage,
    Request,
    Response,
    address,
    answer,
    parameter,
    parse,
    sip_uri,
)

INVITE = (
    b"INVITE sip:+15550100@127.0.0.1 SIP/2.0\r\n"
    b"v: SIP/2.0/UDP 127.0.0.1:5090;branch=z9hG4bKabc\r\n"
    b'From: "A; tag=no" <sip:ada@example.org;x=1>;tag=here\r\n'
    b"t: <sip:+15550100@127.0.0.1>\r\n"
    b"i: one@example.org\r\n"
    b"CSeq: 7 INVITE\r\n"
    b"Subject: goes\r\n  on\r\n"
    b"l: 4\r\n\r\nbodymore"
)


def test_a_request_is_read_with_compact_and_folded_headers() -> None:
    message = parse(INVITE)
    assert isinstance(message, Request)
    assert (message.method, message.uri, message.body) == ("INVITE", "sip:+15550100@127.0.0.1", b"body")
    assert (message.call_id, message.branch, message.sent_by) == (
        "one@example.org",
        "z9hG4bKabc",
        "127.0.0.1:5090",
    )
    assert (message.from_tag, message.to_tag, message.get("subject")) == ("here", "", "goes on")
    assert (message.cseq.number, message.cseq.method) == (7, "INVITE")
    assert address(message.get("from")) == "sip:ada@example.org;x=1"


def test_an_answer_is_read_as_it_was_written() -> None:
    message = parse(INVITE)
    assert isinstance(message, Request)
    written = answer(message, 200, "OK", tag="there", body=b"x")
    read = parse(bytes(written))
    assert isinstance(read, Response)
    assert (read.status, read.reason, read.to_tag, read.body) == (200, "OK", "there", b"x")
    assert read.branch == message.branch


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"INVITE sip", b"invite sip"),
        (b" SIP/2.0\r\nv", b" SIP/3.0\r\nv"),
        (b"CSeq: 7 INVITE", b"CSeq: 7 BYE"),
        (b"CSeq: 7 INVITE", b"CSeq: 4294967296 INVITE"),
        (b"CSeq: 7 INVITE\r\n", b""),
        (b"i: one@example.org", b"i: one\r\ni: two"),
        (b"v: SIP/2.0/UDP 127.0.0.1:5090;branch=z9hG4bKabc", b"v: nonsense"),
        (b"l: 4", b"l: 400"),
        (b"l: 4", b"l: -1"),
        (b"l: 4", b"l: 4\r\nl: 5"),
        (b"Subject: goes", b"Subject: \x00"),
        (b"Subject: goes", b": goes"),
        (b"Subject: goes", b"Subject: " + b"x" * 9_000),
        (b"Subject: goes", b"\r\n".join([b"X: y"] * MAX_HEADERS)),
        (b"\r\n\r\n", b"\r\n"),
        (b"Subject", b"Subj\xff"),
        (b"Subject: goes", b"Subject: go\nes"),
        (b"Subject: goes", b"Subject: go\res"),
    ],
)
def test_what_is_no_message_is_refused(old: bytes, new: bytes) -> None:
    assert old in INVITE
    with pytest.raises(MalformedMessage):
        parse(INVITE.replace(old, new, 1))


@given(st.binary(max_size=300) | st.tuples(st.integers(0, len(INVITE)), st.binary(max_size=20)))
def test_no_datagram_breaks_the_reader(data: bytes | tuple[int, bytes]) -> None:
    datagram = data if isinstance(data, bytes) else INVITE[: data[0]] + data[1] + INVITE[data[0] :]
    try:
        message = parse(datagram)
    except MalformedMessage:
        return
    assert parse(bytes(message)).cseq == message.cseq


@given(st.text(max_size=50))
def test_headers_cannot_be_smuggled_into_what_is_written(text: str) -> None:
    message = Request((("subject", text),), b"", "INFO", "sip:a@example.org")
    if set(text) & {"\r", "\n", "\x00"}:
        with pytest.raises(ValueError, match="line ends"):
            bytes(message)
    else:
        assert bytes(message).count(b"\r\n") == 4


@pytest.mark.parametrize(
    ("uri", "user", "host", "port"),
    [
        ("sip:+1555@10.0.0.1:5070;transport=udp", "+1555", "10.0.0.1", 5070),
        ("SIP:ada:secret@example.org", "ada", "example.org", 5060),
        ("sip:[::1]:9", "", "::1", 9),
    ],
)
def test_a_uri_has_parts(uri: str, user: str, host: str, port: int) -> None:
    parts = sip_uri(uri)
    assert (parts.user, parts.host, parts.port) == (user, host, port)


@pytest.mark.parametrize("uri", ["tel:+1555", "sip:", "sip:a@b:99999", "sip:a@b c", "x", "sip:a@b@c"])
def test_what_is_no_uri(uri: str) -> None:
    with pytest.raises(ValueError, match="sip"):
        sip_uri(uri)


def test_parameters_belong_to_the_header_and_not_to_its_uri() -> None:
    assert parameter("<sip:a;tag=uri>", "tag") == ""
    assert parameter("sip:a;tag=header", "tag") == "header"


def test_a_session_is_read_as_it_was_written() -> None:
    session = read_session(own_session("127.0.0.1", 40_000, 96))
    assert (session.host, session.port, session.payloads, session.events) == (
        "127.0.0.1",
        40_000,
        ("0", "96"),
        96,
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"v=0\r\nm=audio 1 RTP/AVP 0\r\n",
        b"c=IN IP4 1.2.3.4\r\nm=audio 70000 RTP/AVP 0\r\n",
        b"x" * 20_000,
    ],
)
def test_a_session_without_audio_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="session description"):
        read_session(body)


def packet(code: int, *, payload_type: int = 101, timestamp: int = 9, extension: bytes = b"") -> bytes:
    """A telephone event."""
    first = 0x80 | (0x10 if extension else 0)
    head = struct.pack("!BBHII", first, payload_type, 1, timestamp, 7)
    more = struct.pack("!HH", 0, len(extension) // 4) + extension if extension else b""
    return head + more + struct.pack("!BBH", code, 10, 160)


def test_a_key_is_read_out_of_rtp() -> None:
    for code, key in enumerate(KEYS):
        assert key_of(packet(code), 101) == (key, (7, 9))
        assert key_of(packet(code, extension=b"1234"), 101) == (key, (7, 9))
    assert key_of(packet(16), 101) is None
    assert key_of(packet(1, payload_type=0), 101) is None
    assert key_of(packet(1), None) is None


@given(st.binary(max_size=40))
def test_no_packet_breaks_the_listener(data: bytes) -> None:
    key_of(data, data[1] & 0x7F if len(data) > 1 else 101)


def test_what_a_successor_knows(tmp_path: Path) -> None:
    path = tmp_path / "host.jsonl"
    ledger = Ledger(path)
    for call_id in ("up", "over"):
        ledger.call_begins(call_id)
    ledger.intent_begins("done", "up")
    ledger.intent_begins("running", "up")
    ledger.cancel("later")
    outcome = {"kind": "intent.outcome", "call_id": "up", "intent_id": "done", "seq": 0, "state": "spoken"}
    ledger.report("r-0", {"kind": "call.started", "call_id": "up"})
    ledger.report("r-1", outcome)
    ledger.sent("r-0")
    ledger.call_ends("over")
    ledger.close()
    path.write_text(path.read_text("utf-8") + '{"report": "cut o')
    for _ in range(2):
        ledger = Ledger(path)
        known = ledger.intent("done")
        assert known is not None
        assert known.outcome == outcome
        assert ledger.running("up") == ["running"]
        assert ledger.unsent == {"r-1": outcome}
        assert ledger.open_calls == ["up"]
        assert ledger.next_number("up") == 1
        ledger.close()
