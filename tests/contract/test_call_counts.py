"""What is counted of the calls that we begin is counted after its commit: once, however often a unit runs."""

import asyncio

import pytest
from prometheus_client import REGISTRY

from gateway.domain.outgoing_call import CallReport, CallState
from gateway.domain.ports.store import Tx
from gateway.service.call_reports import StoredCallReports
from gateway.service.dead import bury
from gateway.store import group_commit
from tests.contract.conftest import MovableStore as Store
from tests.contract.outgoing_line import OTHER, SID, begun, rules
from tests.contract.scene import ORGANIZATION, PARTITIONS


def counted() -> tuple[float, float]:
    """Calls that rang, and second ones."""
    rang = REGISTRY.get_sample_value("gateway_calls_made_total", {"state": "ringing"})
    doubled = REGISTRY.get_sample_value("gateway_calls_doubled_total", {"provider": "twilio"})
    return rang or 0, doubled or 0


async def fail_half_way(tx: Tx) -> None:
    """Those that share its transaction run once more."""
    await bury(tx, "any", "it fails", "")
    raise LookupError


async def test_a_report_counts_once_although_its_unit_runs_twice(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MAX_BATCH_SECONDS", 600.0)
    reports = StoredCallReports(store, rules(), organization_id=ORGANIZATION, partitions=PARTITIONS)
    line = await begun(store)
    await line.dialed()
    before = counted()
    for call_id in (SID, OTHER, SID):
        report = CallReport(
            provider="twilio", call_id=call_id, conversation_id=line.id, state=CallState.RINGING, raw=""
        )
        _, failed = await asyncio.gather(
            reports.progress(report), store.write(fail_half_way), return_exceptions=True
        )
        assert isinstance(failed, LookupError)
    assert counted() == (before[0] + 1, before[1] + 1)
