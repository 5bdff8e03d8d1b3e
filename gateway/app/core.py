"""What every role of a process shares, and what is made of it: ways in, files, waiting requests."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from channels.contract import Ingress, MailPorts
from channels.email.thread import ThreadMarks
from gateway.app.configured import Configured
from gateway.app.plan import Plan
from gateway.bus.embedded import EmbeddedBus
from gateway.domain.clock import Clock
from gateway.domain.ports.files import AttachmentStore
from gateway.domain.ports.store import Store
from gateway.service.accept import ATTACHMENTS_PATH
from gateway.service.ask import Waiting
from gateway.service.attachments import Attachments
from gateway.service.call_connections import StoredConnections
from gateway.service.call_ends import StoredEnds
from gateway.service.call_reports import StoredCallReports
from gateway.service.dialogues import Dialogues
from gateway.service.ingress import Acceptance, Receipts, Reports
from gateway.service.kept_transfers import StoredTransfers
from gateway.service.outbox import StoredOutbox
from gateway.service.reply_files import ReplyFiles
from gateway.service.spooling import SpooledAcceptance, SpooledEnds, SpooledKeep, SpooledReceipts
from gateway.settings import Settings
from gateway.store.spool import Spool
from workers.knowledge.folders import folders_of
from workers.knowledge.indexer import Indexer
from workers.warm import WarmDriver

if TYPE_CHECKING:
    from gateway.bus.rabbit import RabbitBus


@dataclass(frozen=True, kw_only=True)
class Core:
    """The store, the bus and the configuration of one process."""

    settings: Settings
    plan: Plan
    clock: Clock
    store: Store
    outbox: StoredOutbox
    bus: "EmbeddedBus | RabbitBus"
    configured: Configured
    marks: ThreadMarks
    files: AttachmentStore
    """Where the bytes of attachments are."""
    spool: Spool | None = None
    warm: WarmDriver | None = None
    """Drives warm transfers; None where nobody can be called."""

    def acceptance(self) -> Acceptance:
        """How a message of an end user is stored."""
        return Acceptance(self.store, self.configured.current, self.settings.partitions, self._api_url)

    @property
    def _api_url(self) -> str:
        return self.settings.api_url or self.settings.public_url

    def ingress(self) -> Ingress:
        """What texts and calls hand to the core; through the spool where there is one."""
        spool = self.spool
        acceptance, receipts, ends = self.acceptance(), Receipts(self.store), self.call_ends()
        return Ingress(
            accept=acceptance if spool is None else SpooledAcceptance(acceptance, spool),
            receive=receipts if spool is None else SpooledReceipts(receipts, spool),
            dialogue=Dialogues(
                self.store,
                acceptance,
                self.waiting(),
                ends if spool is None else SpooledEnds(ends, spool),
                organization_id=self.configured.config.organization_id,
                partitions=self.settings.partitions,
            ),
            reports=self.call_reports(),
            kept=StoredTransfers(self.store, self.configured.config.organization_id),
            connections=StoredConnections(self.store),
            public_url=self.settings.public_url,
            clock=self.clock,
            calls=self.configured.calls,
            warm=self.warm,
        )

    def mail_ports(self) -> MailPorts:
        """What mail hands to the core; through the spool where there is one."""
        spool, acceptance, attachments = self.spool, self.acceptance(), self.attachments()
        return MailPorts(
            accept=acceptance if spool is None else SpooledAcceptance(acceptance, spool),
            keep=attachments if spool is None else SpooledKeep(attachments, spool),
            report=Reports(self.store),
            clock=self.clock,
        )

    def call_ends(self) -> StoredEnds:
        """How the end of a call is stored."""
        return StoredEnds(
            store=self.store,
            accept=self.acceptance(),
            rules_of=self.configured.calls,
            organization_id=self.configured.config.organization_id,
            partitions=self.settings.partitions,
        )

    def call_reports(self) -> StoredCallReports:
        """What providers of calls say about them, stored."""
        return StoredCallReports(
            self.store,
            self.configured.calls,
            organization_id=self.configured.config.organization_id,
            partitions=self.settings.partitions,
        )

    def attachments(self) -> Attachments:
        """The attachments: their bytes and what the database knows of them."""
        organization_id = self.configured.config.organization_id
        return Attachments(self.store, self.files, organization_id, self.settings.attachment_max_bytes)

    def reply_files(self) -> ReplyFiles:
        """How what agents attach is kept."""
        return ReplyFiles(self.attachments(), self._api_url + ATTACHMENTS_PATH)

    def indexer(self) -> Indexer:
        """What keeps the index of the knowledge folders up to date."""
        configured, path = self.configured, self.settings.config_path
        return Indexer(
            self.store, configured.config.organization_id, lambda: folders_of(configured.current(), path)
        )

    def waiting(self) -> Waiting:
        """How a request waits for its turn."""
        return Waiting(
            self.store,
            self.bus.replies,
            self.clock,
            turn_timeout=self.settings.turn_timeout_seconds,
            partitions=self.settings.partitions,
        )
