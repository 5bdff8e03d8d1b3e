"""Builds the HTTP application of a process: its surface, its error shape, its outermost bounds."""

from collections.abc import Sequence
from functools import cache

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from gateway.api import (
    analytics,
    attachments,
    brakes,
    calls,
    consent,
    conversations,
    docs,
    errors,
    events,
    export,
    health,
    hitl,
    identity,
    memories,
    revisions,
    simulations,
    turns,
    usage,
    web,
    webhook_endpoints,
)
from gateway.api.answers import ERRORS
from gateway.api.auth import Admission, Keyring
from gateway.api.cors import Cors
from gateway.api.deps import ApiDeps
from gateway.api.document import keep_nulls
from gateway.api.edge import Edge
from gateway.api.rate import RateLimiter
from gateway.api.surface import Surface
from gateway.api.traced import Traced
from gateway.api.wakes import TimelineBell
from gateway.api.web_tokens import WebTokens
from gateway.api.webhooks import Webhooks

_TITLE = "Channel Gateway"
_ABOUT = """People write an SMS or an e-mail, call, or use this API; an AI agent answers in the same channel;
a person can take over at any time. A conversation is the same thing on every channel, and has the same
routes.

Send an API key as `x-api-key`. Begin with `POST /v1/identity/resolve`, create a conversation with the
`end_user_id` of the answer, and take turns. Every POST takes an `Idempotency-Key`. An error is
`{"error": "<code>", "message": "<what to do>"}`. The routes under `/v1/conversations` are those under
`/v1/v2/conversations`."""
_TAGS = {
    "conversations": "Sessions between one end user and an agent: create, list, follow, close, delete.",
    "turns": "What the end user says and the agent answers: whole, as a stream, polled, as a transcript.",
    "operators": "People who answer: their replies, handoffs, approvals. Needs the role `operator`.",
    "calls": "Calls that begin here.",
    "identity": "End users, their addresses and their history across channels.",
    "consent": "Who may not be written to, and what they said about it. Needs the role `operator`.",
    "agents": "Who answers, and whether they are paused.",
    "organisation": "The kill switch of the whole organisation.",
    "simulations": "A script replayed against an agent, with a report that can be compared.",
    "web chat": "Tokens with which a browser speaks in one conversation.",
    "webhooks": "Where events are told. Needs the role `admin`.",
    "analytics": "What live conversations came to.",
    "health": "Whether this process lives, works, and what it counts. No key is needed.",
}
_PREFIXES = {"/v1/v2/conversations": "", "/v1/conversations": "_v1"}
"""Where the conversation routes are, and what tells their operation ids apart."""


def _bare(deps: ApiDeps, webhooks: Sequence[BaseRoute] = ()) -> FastAPI:
    """An application that serves webhooks only; its errors have our form, and its requests are bounded."""
    app = FastAPI(
        title=_TITLE,
        version=deps.version,
        description=_ABOUT,
        openapi_tags=[{"name": name, "description": what} for name, what in _TAGS.items()],
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # it records paths and texts
        strict_content_type=False,  # judged by ApiRoute
        generate_unique_id_function=_name,
    )
    app.state.deps = deps
    errors.install(app)
    app.router.routes.extend(webhooks)
    app.add_middleware(Webhooks, routes=webhooks)
    app.add_middleware(Edge, clock=deps.clock, large=deps.large)
    return app


def build_api(deps: ApiDeps, pages: Sequence[APIRouter] = ()) -> FastAPI:
    """The application that serves `deps.surface`; `pages` are for people, beside the API."""
    app = _bare(deps, () if deps.surface is Surface.PRIVATE else deps.webhook_routes)
    app.state.keyring = Keyring(deps.store, deps.api_keys, deps.clock)
    app.state.web_tokens = WebTokens(deps.store, deps.clock)
    app.state.admission = Admission(
        app.state.keyring, app.state.web_tokens, RateLimiter(deps.clock, lambda: _limits(deps))
    )
    app.state.timeline = TimelineBell(deps.store)
    app.add_middleware(Cors, origins=lambda: deps.config().web_origins)
    app.add_middleware(Traced)
    app.router.routes.extend(_routes(deps.surface))
    if deps.surface is not Surface.PUBLIC:
        for router in pages:
            app.include_router(router)
    keep_nulls(app)
    return app


def build_health(deps: ApiDeps) -> FastAPI:
    """The application of a process that serves nothing else: its health checks and metrics."""
    app = _bare(deps)
    app.include_router(health.router)
    app.include_router(health.metrics)
    return app


def let_go(app: FastAPI) -> None:
    """Answer what is held open (polls, event streams): the process is about to end."""
    bell: TimelineBell = app.state.timeline
    bell.close()


def _limits(deps: ApiDeps) -> tuple[int, int]:
    config = deps.config()
    return config.rate_limit, config.rate_burst


@cache
def _routes(surface: Surface) -> Sequence[BaseRoute]:
    """The API's own routes, made once in a process: what the framework makes of them takes half a second."""
    api = APIRouter(strict_content_type=False, generate_unique_id_function=_name)
    api.include_router(health.router)
    if surface is not Surface.PUBLIC:
        _include_private(api)
    return tuple(api.routes)


def _include_private(api: APIRouter) -> None:
    api.include_router(health.metrics)
    api.include_router(docs.router)
    for prefix, suffix in _PREFIXES.items():
        for router in (conversations.router, turns.router, events.router, hitl.router):
            _include(api, router, prefix, suffix)
    extras = (
        calls.router,
        analytics.router,
        revisions.router,
        simulations.router,
        webhook_endpoints.router,
        attachments.router,
        consent.router,
    )
    people = (identity.router, memories.router, export.router)
    for router in (hitl.lists, *people, web.router, brakes.router, usage.router, *extras):
        _include(api, router, "", "")


def _include(api: APIRouter, router: APIRouter, prefix: str, suffix: str) -> None:
    def unique_id(route: APIRoute) -> str:
        return f"{_name(route)}{suffix}"

    api.include_router(router, prefix=prefix, responses=ERRORS, generate_unique_id_function=unique_id)


def _name(route: APIRoute) -> str:
    return route.name
