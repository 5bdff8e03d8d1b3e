"""Dialogs (RFC 3261 §12): what makes two requests parts of one call."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import ip_address

from channels.voice.host.sip.message import Request, Response, address, sip_uri
from channels.voice.host.sip.transactions import Address, Transactions

USER_AGENT = "channel-gateway reference host"


@dataclass(slots=True)
class Dialog:
    """One side of a call."""

    call_id: str
    local: str
    """Our From, with its tag."""
    remote: str
    """Their To, with its tag."""
    local_tag: str
    remote_tag: str
    target: str
    """The URI of their Contact."""
    peer: Address
    """Where their requests came from, or ours went: what is sent where no Contact or Route says better."""
    routes: tuple[str, ...] = ()
    sequence: int = 0
    remote_sequence: int = -1

    @classmethod
    def called(cls, invite: Request, tag: str, peer: Address) -> "Dialog":
        """The dialog of a call that comes in (§12.1.1)."""
        return cls(
            call_id=invite.call_id,
            local=f"{invite.get('to')};tag={tag}",
            remote=invite.get("from"),
            local_tag=tag,
            remote_tag=invite.from_tag,
            target=address(invite.get("contact")) or address(invite.get("from")),
            peer=peer,
            routes=tuple(invite.all("record-route")),
            remote_sequence=invite.cseq.number,
        )

    @classmethod
    def calling(cls, invite: Request, response: Response, peer: Address) -> "Dialog":
        """The dialog of a call that we made (§12.1.2)."""
        return cls(
            call_id=invite.call_id,
            local=invite.get("from"),
            remote=response.get("to"),
            local_tag=invite.from_tag,
            remote_tag=response.to_tag,
            target=address(response.get("contact")) or invite.uri,
            peer=peer,
            routes=tuple(reversed(response.all("record-route"))),
            sequence=invite.cseq.number,
        )

    @property
    def destination(self) -> Address:
        """Where requests go: the first route, else the target, if it is a number; names are not looked up."""
        first = address(self.routes[0]) if self.routes else self.target
        try:
            uri = sip_uri(first)
            ip_address(uri.host)
        except ValueError:
            return self.peer
        return (uri.host, uri.port)

    def matches(self, request: Request) -> bool:
        """Whether a request is of this dialog (§12.2.2)."""
        theirs = (request.call_id, request.to_tag, request.from_tag)
        return theirs == (self.call_id, self.local_tag, self.remote_tag)

    def in_order(self, request: Request) -> bool:
        """Whether it is newer than the last one of theirs; notes it."""
        if request.cseq.number <= self.remote_sequence:
            return False
        self.remote_sequence = request.cseq.number
        return True

    def request(
        self,
        layer: Transactions,
        method: str,
        more: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        *,
        sequence: int | None = None,
    ) -> Request:
        """A request within the dialog (§12.2.1.1). An ACK takes the number of its INVITE."""
        if sequence is None:
            self.sequence += 1
            sequence = self.sequence
        host, port = layer.local
        headers = (
            layer.via(),
            ("max-forwards", "70"),
            ("from", self.local),
            ("to", self.remote),
            ("call-id", self.call_id),
            ("cseq", f"{sequence} {method}"),
            ("contact", f"<sip:{host}:{port}>"),
            ("user-agent", USER_AGENT),
            *(("route", route) for route in self.routes),
            *more,
        )
        return Request(headers, body, method, self.target)


def cancel_of(invite: Request) -> Request:
    """The CANCEL of an INVITE that rings (§9.1): the same transaction, nothing else."""
    kept = {"via", "max-forwards", "from", "to", "call-id", "route"}
    headers = [item for item in invite.headers if item[0] in kept]
    headers.append(("cseq", f"{invite.cseq.number} CANCEL"))
    return replace(invite, headers=tuple(headers), body=b"", method="CANCEL")
