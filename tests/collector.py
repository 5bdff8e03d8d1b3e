"""A collector of traces as OTLP/HTTP has it: takes batches of spans and keeps them."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.loopback import served


@dataclass(frozen=True, slots=True)
class Seen:
    """A span as it came."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    """Empty at the root."""
    failed: bool
    attributes: dict[str, str]
    resource: dict[str, str]


@dataclass
class Collector:
    """What has come."""

    spans: list[Seen] = field(default_factory=list)
    url: str = ""

    def named(self, name: str) -> list[Seen]:
        """The spans of a name, in the order they came."""
        return [span for span in self.spans if span.name == name]

    def trace(self, trace_id: str) -> list[Seen]:
        """The spans of a trace."""
        return [span for span in self.spans if span.trace_id == trace_id]

    async def take(self, request: web.Request) -> web.Response:
        """One batch."""
        batch = ExportTraceServiceRequest.FromString(await request.read())
        for of_resource in batch.resource_spans:
            resource = _values(of_resource.resource.attributes)
            for of_scope in of_resource.scope_spans:
                self.spans += [_seen(span, resource) for span in of_scope.spans]
        return web.Response(
            body=ExportTraceServiceResponse().SerializeToString(), content_type="application/x-protobuf"
        )


def _seen(span: Span, resource: dict[str, str]) -> Seen:
    return Seen(
        span.name,
        Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.status.code == Status.STATUS_CODE_ERROR,
        _values(span.attributes),
        resource,
    )


def _values(attributes: Iterable[KeyValue]) -> dict[str, str]:
    values: dict[str, str] = {}
    for pair in attributes:
        which = pair.value.WhichOneof("value")
        values[pair.key] = str(getattr(pair.value, which)) if which else ""
    return values


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """A collector on a loopback port."""
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.take)
    async with served(app) as collector.url:
        yield collector
