"""Spans over OTLP/HTTP to a collector, in batches from a thread of their own.

A collector that is slow or away costs spans and a log line, never work. Importing this module imports the
OpenTelemetry SDK (0.15 s): do it only where GATEWAY_OTEL_ENDPOINT is set.
"""

import asyncio
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from gateway.tracing import Kind, Value
from gateway.tracing.w3c import format_traceparent

PATH: Final = "/v1/traces"
"""Where collectors take traces (OTLP specification, "OTLP/HTTP Request")."""
EXPORT_SECONDS: Final = 10
"""How long a batch may take."""
CLOSE_SECONDS: Final = 2.0
"""How long the end of the process waits for the last batch."""

_KINDS: Final = {
    Kind.INTERNAL: trace.SpanKind.INTERNAL,
    Kind.SERVER: trace.SpanKind.SERVER,
    Kind.CLIENT: trace.SpanKind.CLIENT,
    Kind.PRODUCER: trace.SpanKind.PRODUCER,
    Kind.CONSUMER: trace.SpanKind.CONSUMER,
}


class OtlpSpan:
    """A span of the SDK."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        context = span.get_span_context()
        self.traceparent = format_traceparent(
            f"{context.trace_id:032x}", f"{context.span_id:016x}", context.trace_flags
        )

    def note(self, attributes: Mapping[str, Value]) -> None:
        """Add attributes."""
        self._span.set_attributes(_attributes(attributes))

    def end(self, error: str | None) -> None:
        """The exception's kind is kept, not its text: that may quote what a person wrote."""
        if error is not None:
            self._span.set_attribute("error.type", error)
            self._span.set_status(trace.StatusCode.ERROR)
        self._span.end()


class OtlpRecorder:
    """Exports the spans of one process. Which traces are sampled, OTEL_TRACES_SAMPLER says; else all are."""

    def __init__(self, endpoint: str, *, roles: str, version: str) -> None:
        """`endpoint`: the collector's base URL, such as http://127.0.0.1:4318, or the whole one."""
        url = endpoint if endpoint.endswith(PATH) else endpoint.rstrip("/") + PATH
        resource = Resource.create(
            {"service.name": "gateway", "service.version": version, "gateway.role": roles}
        )
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(endpoint=url, timeout=EXPORT_SECONDS))
        )
        self._tracer = self._provider.get_tracer("gateway", version)

    def begin(self, name: str, kind: Kind, parent: str | None, attributes: Mapping[str, Value]) -> OtlpSpan:
        """Begin a span under `parent`, a header of version 00."""
        span = self._tracer.start_span(
            name,
            context=trace.set_span_in_context(_remote(parent)),
            kind=_KINDS[kind],
            attributes=_attributes(attributes),
            record_exception=False,
            set_status_on_exception=False,
        )
        return OtlpSpan(span)

    async def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Export what is left, for at most `timeout` seconds; the rest is lost.

        The SDK knows no such bound, so it works in a daemon thread that may be left behind.
        """
        loop = asyncio.get_running_loop()
        closed = asyncio.Event()

        def shut_down() -> None:
            self._provider.shutdown()
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(closed.set)

        threading.Thread(target=shut_down, name="otlp-close", daemon=True).start()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await closed.wait()


def _remote(parent: str | None) -> trace.Span:
    if parent is None:
        return trace.INVALID_SPAN
    return trace.NonRecordingSpan(
        trace.SpanContext(
            trace_id=int(parent[3:35], 16),
            span_id=int(parent[36:52], 16),
            is_remote=True,
            trace_flags=trace.TraceFlags(int(parent[53:55], 16)),
        )
    )


def _attributes(attributes: Mapping[str, Value]) -> dict[str, str | int | bool]:
    """Names with a dot are OpenTelemetry's own; ours stand under `gateway.`."""
    return {
        name if "." in name else f"gateway.{name}": value
        for name, value in attributes.items()
        if value is not None
    }
