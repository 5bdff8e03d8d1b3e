"""Whether a mail is from whom it says: SPF, DKIM and ARC held against what the domain of From asks for.

An aligned signature or an aligned client proves the domain, whether it publishes a DMARC record or not. What
the DNS does not answer now is decided later, never against the sender. RFC 7489 §3, §6.6; RFC 8617.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from channels.email.auth.arc import Chain, believed, read_chain, verify_seal
from channels.email.auth.dkim import Signature, read_signature, signature_fields, verify_signature
from channels.email.auth.dmarc import DmarcPolicy, DmarcRecord, aligned, find_policy
from channels.email.auth.dns import Dns, NoAnswerNow, RecordType
from channels.email.auth.keys import PublicKey, read_key
from channels.email.auth.results import dmarc_of, read_results, results_of
from channels.email.auth.signed import BadSignature, SignedMail, read_signed
from channels.email.auth.spf import SpfClient, SpfResult, check_host
from gateway.domain.clock import SECOND, Clock

T = TypeVar("T")

SECONDS = 12.0
"""How long all questions about one mail may take."""

_ONCE = (
    b"from",
    b"sender",
    b"subject",
    b"date",
    b"message-id",
    b"to",
    b"reply-to",
    b"in-reply-to",
    b"references",
    b"mime-version",
    b"content-type",
    b"content-transfer-encoding",
)
"""Headers that stand once (RFC 5322 §3.6): a signature covers one, and another could be what is read."""


class Standing(StrEnum):
    """What is known of a sender."""

    PROVEN = "proven"
    UNPROVEN = "unproven"
    """Nothing speaks for it, nothing against it."""
    FAILED = "failed"
    """The domain's own rules are broken; it asks for nothing to be done."""
    REFUSED = "refused"
    """They are broken, and it asks not to take such mail."""
    UNDECIDED = "undecided"
    """The DNS does not answer now."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A standing and what it rests on, in the words of RFC 8601."""

    standing: Standing
    grounds: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MailArrival:
    """A mail as a client or a provider handed it over."""

    raw: bytes
    mail_from: str | None = None
    """The envelope's sender; empty for a report, None where it is not known."""
    client: str | None = None
    """The address of the client that sent it to us, where it says anything."""
    helo: str = ""
    provider_dmarc: str | None = None
    """What a provider found that we trust, in the words of RFC 8601; None where it does not say."""
    provider_spf: str | None = None
    """The same about the envelope's sender."""


class SenderCheck(Protocol):
    """Says what is known of the mailbox in From."""

    async def __call__(self, arrival: MailArrival, sender: str) -> Judgement:
        """`sender`: the only mailbox in the only From header."""
        ...


class BelieveAll:
    """Authentication is off: something in front has checked, or it is a trial."""

    async def __call__(self, arrival: MailArrival, sender: str) -> Judgement:
        """Everybody is who they say."""
        return Judgement(Standing.PROVEN, "not checked")


class BelieveNobody:
    """There is nobody to ask."""

    async def __call__(self, arrival: MailArrival, sender: str) -> Judgement:
        """A From header alone proves nothing."""
        return Judgement(Standing.UNPROVEN, "not checked")


class TrustedServer:
    """Our own mail server has checked; its Authentication-Results count."""

    def __init__(self, server: str) -> None:
        """`server`: its authserv-id."""
        self._server = server

    async def __call__(self, arrival: MailArrival, sender: str) -> Judgement:
        """Never refuses and never waits: the server in front has taken the mail already."""
        mail = read_signed(arrival.raw)
        results = results_of(mail, self._server) if mail is not None else []
        return _told(dmarc_of(results, sender.rpartition("@")[2]))


class OwnCheck:
    """We check ourselves."""

    def __init__(
        self,
        dns: Dns,
        clock: Clock,
        executor: Executor,
        sealers: Sequence[str] = (),
        seconds: float = SECONDS,
    ) -> None:
        """`sealers`: domains whose ARC seals are believed. `executor` does the cryptography."""
        self._dns = dns
        self._clock = clock
        self._executor = executor
        self._sealers = sealers
        self._seconds = seconds

    async def __call__(self, arrival: MailArrival, sender: str) -> Judgement:
        """The judgement, within the time limit."""
        if arrival.provider_dmarc is not None:
            return _told(arrival.provider_dmarc)
        domain = sender.rpartition("@")[2]
        try:
            async with asyncio.timeout(self._seconds):
                return await self._judge(arrival, domain)
        except TimeoutError:
            return Judgement(Standing.UNDECIDED, "dmarc=temperror (time limit)")

    async def _judge(self, arrival: MailArrival, domain: str) -> Judgement:
        mail = await self._apart(read_signed, arrival.raw)
        if mail is not None and any(len(mail.named(name)) > 1 for name in _ONCE):
            mail = None
        policy, spf, dkim = await asyncio.gather(
            _asked(find_policy(self._dns, domain)), self._spf(arrival), self._dkim(mail, domain)
        )
        # while its rules are not known, only the very domain counts as it
        rules = policy if isinstance(policy, DmarcRecord) else DmarcRecord(DmarcPolicy.NONE)
        unknown = isinstance(policy, NoAnswerNow)
        grounds = [f"spf={spf[0]} smtp.mailfrom={spf[1]}", *(f"dkim={d}" for d in dkim.grounds)]
        proofs = [name for name in dkim.domains if aligned(domain, name, strict=rules.strict_dkim or unknown)]
        if spf[0] is SpfResult.PASS and aligned(domain, spf[1], strict=rules.strict_spf or unknown):
            proofs.append(spf[1])
        if proofs:
            return _judgement(Standing.PROVEN, grounds, "pass")
        if unknown or spf[0] is SpfResult.TEMPERROR or dkim.unanswered:
            return _judgement(Standing.UNDECIDED, grounds, "temperror")
        if mail is not None and self._sealers and await self._arc(mail, domain):
            return _judgement(Standing.PROVEN, [*grounds, "arc=pass"], "pass")
        if policy is None:
            return _judgement(Standing.UNPROVEN, grounds, "none")
        failed = rules.policy is DmarcPolicy.NONE
        return _judgement(Standing.FAILED if failed else Standing.REFUSED, grounds, "fail")

    async def _spf(self, arrival: MailArrival) -> tuple[SpfResult, str]:
        mail_from = (arrival.mail_from or "").strip("<>").lower()
        if arrival.client is None:
            passed = arrival.provider_spf == "pass" and mail_from
            return SpfResult.PASS if passed else SpfResult.NONE, mail_from.rpartition("@")[2]
        try:
            client = SpfClient.of(arrival.client, mail_from, arrival.helo)
        except ValueError:
            return SpfResult.NONE, ""
        return await check_host(self._dns, client)

    async def _dkim(self, mail: SignedMail | None, domain: str) -> "_Signed":
        """The signatures that can count for the domain; others are not worth a question."""
        found = _Signed([], [])
        if mail is None:
            return found
        signatures: list[Signature] = []
        for field in signature_fields(mail):
            try:
                signature = read_signature(field, self._clock.now() // SECOND)
            except BadSignature as error:
                found.grounds.append(f"fail ({error})")
                continue
            if aligned(domain, signature.domain, strict=False):
                signatures.append(signature)
        for signature, outcome in zip(
            signatures, await asyncio.gather(*(self._verified(s, mail) for s in signatures)), strict=True
        ):
            found.add(signature.domain, outcome)
        return found

    async def _verified(self, signature: Signature, mail: SignedMail) -> BadSignature | NoAnswerNow | None:
        """None: it holds."""
        try:
            key = await self._key(signature.key_name, signature.key_kind)
            await self._apart(verify_signature, signature, mail, key)
        except (BadSignature, NoAnswerNow) as error:
            return error
        return None

    async def _arc(self, mail: SignedMail, domain: str) -> bool:
        """Whether sealers of our trust saw the mail arrive as the domain's own, and the chain holds."""
        try:
            chain = read_chain(mail, self._clock.now() // SECOND)
            if chain is None:
                return False
            told = (read_results(found) for found in believed(chain, self._sealers))
            if not any(dmarc_of(results.results, domain) == "pass" for results in told if results):
                return False
            await self._verify_chain(chain, mail)
        except (BadSignature, NoAnswerNow):
            return False
        return True

    async def _verify_chain(self, chain: Chain, mail: SignedMail) -> None:
        newest = chain.newest
        key = await self._key(newest.key_name, newest.key_kind)
        await self._apart(verify_signature, newest, mail, key)
        for number, one in enumerate(chain.sets, 1):
            key = await self._key(one.seal.key_name, one.seal.key_kind)
            await self._apart(verify_seal, chain, number, key)

    async def _key(self, name: str, kind: str) -> PublicKey:
        return read_key((await self._dns.look_up(name, RecordType.TXT)).values, kind)

    async def _apart(self, work: Callable[..., T], *arguments: object) -> T:
        """Beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)


@dataclass(slots=True)
class _Signed:
    """What the signatures prove."""

    domains: list[str]
    grounds: list[str]
    unanswered: bool = False

    def add(self, domain: str, outcome: BadSignature | NoAnswerNow | None) -> None:
        if outcome is None:
            self.domains.append(domain)
            self.grounds.append(f"pass header.d={domain}")
        elif isinstance(outcome, NoAnswerNow):
            self.unanswered = True
            self.grounds.append(f"temperror header.d={domain}")
        else:
            self.grounds.append(f"fail ({outcome}) header.d={domain}")


_TOLD = {
    "pass": Standing.PROVEN,
    "fail": Standing.FAILED,
}


def _told(dmarc: str | None) -> Judgement:
    """The judgement of a server or provider in front, which has taken the mail: refusing it would bounce."""
    return Judgement(_TOLD.get(dmarc or "", Standing.UNPROVEN), f"dmarc={dmarc or 'none'} (told)")


def _judgement(standing: Standing, grounds: Sequence[str], dmarc: str) -> Judgement:
    return Judgement(standing, "; ".join((*grounds, f"dmarc={dmarc}")))


async def _asked(question: Awaitable[DmarcRecord | None]) -> DmarcRecord | NoAnswerNow | None:
    try:
        return await question
    except NoAnswerNow as error:
        return error
