"""Whether the process lives, whether it can work, and what it counts. No key is needed."""

import asyncio
from contextlib import suppress
from dataclasses import fields

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic_core import to_json
from starlette.responses import PlainTextResponse

from gateway.api.deps import ApiDeps, Check, Deps
from gateway.api.errors import error_response
from gateway.domain.errors import ErrorCode, Unavailable
from gateway.domain.ports.store import Tx
from gateway.domain.usage import Cap
from gateway.service.backlog import backlog
from gateway.service.brake import pauses_of
from gateway.service.usage import today
from gateway.store.engine import single_statement
from gateway.telemetry import CAP_REACHED, PAUSED, USED_TODAY, WAITING

CHECK_SECONDS = 3.0
LOOK_SECONDS = 8.0
"""For what `/metrics` reads: Prometheus gives up after ten, and would have no figures at all."""

router = APIRouter(tags=["health"])
metrics = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> Response:
    """Whether the process is alive; nothing else is asked."""
    return Response(b'{"status":"ok"}', media_type="application/json")


@router.get("/readyz")
async def readyz(deps: Deps) -> Response:
    """Whether everything this process needs answers; 503 names what does not.

    Who only takes in what comes is `degraded`, and ready, without the broker; and, where it spools, without
    the database.
    """
    checks: dict[str, Check] = {"database": lambda: _database(deps), **deps.checks}
    results = await asyncio.gather(*(_checked(check) for check in checks.values()))
    faults = {name: fault for name, fault in zip(checks, results, strict=True) if fault}
    told = {name: faults.get(name, "ok") for name in checks}
    spared = set(deps.spared)
    if deps.spool is not None:
        told["spool"] = "full" if deps.spool.full else f"{deps.spool.waiting} waiting"
        if not deps.spool.full:
            spared.add("database")
    status = "degraded" if faults or (deps.spool is not None and deps.spool.waiting) else "ready"
    if faults.keys() <= spared:
        return Response(to_json({"status": status, "checks": told}), media_type="application/json")
    return error_response(
        503,
        ErrorCode.UNAVAILABLE.value,
        "; ".join(f"{name}: {fault}" for name, fault in faults.items()),
        headers={"Retry-After": "1"},
        extra={"checks": told},
    )


@single_statement
async def _ping(tx: Tx) -> None:
    await tx.one("ping")


async def _database(deps: ApiDeps) -> str | None:
    try:
        await deps.store.read(_ping)
    except Unavailable as error:
        return error.message
    return None


async def _checked(check: Check) -> str | None:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check()
    except TimeoutError:
        return f"does not answer within {CHECK_SECONDS:.0f} s"


async def _look(deps: ApiDeps) -> None:
    """What is stored is looked at when it is asked for; a database that is away leaves the last look."""
    organization_id = deps.config().organization_id
    with suppress(Unavailable, TimeoutError):
        async with asyncio.timeout(LOOK_SECONDS):
            paused = {pause.subject_id for pause in await deps.store.read(pauses_of, organization_id)}
            now = await deps.store.read(today, organization_id)
            waiting = await deps.store.read(backlog)
        PAUSED.labels("organisation").set(organization_id in paused)
        PAUSED.labels("agent").set(len(paused - {organization_id}))
        for cap in Cap:
            CAP_REACHED.labels(cap.value).set(cap in now.reached)
        for what in fields(now.used):
            USED_TODAY.labels(what.name).set(getattr(now.used, what.name))
        for what in fields(waiting):
            WAITING.labels(what.name).set(getattr(waiting, what.name))


@metrics.get("/metrics", response_class=PlainTextResponse)
async def read_metrics(deps: Deps) -> Response:
    """Counters in the Prometheus text format."""
    await _look(deps)
    return Response(generate_latest(deps.metrics), media_type=CONTENT_TYPE_LATEST)
