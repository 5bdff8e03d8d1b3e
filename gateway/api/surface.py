"""Which routes a process serves; light, because every process names its surface."""

from enum import StrEnum


class Surface(StrEnum):
    """Which routes a process serves; the health checks are always among them."""

    ALL = "all"
    PUBLIC = "public"
    """Provider webhooks."""
    PRIVATE = "private"
    """The API, its documentation and the metrics."""
