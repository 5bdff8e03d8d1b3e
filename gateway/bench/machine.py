"""Where something was measured: a figure without its machine says nothing."""

import os
import platform
from dataclasses import dataclass

from gateway.bench.servers import Servers


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The machine and the servers on it."""

    cores: int
    system: str
    python: str
    rabbitmq: str | None
    postgresql: str | None
    load_before: float
    """Processes that wanted a core in the minute before; more than 0.3 or so is noise."""

    @property
    def line(self) -> str:
        """All of it, for people."""
        return (
            f"{self.cores} cores, {self.system}, Python {self.python}, "
            f"RabbitMQ {self.rabbitmq or '-'}, PostgreSQL {self.postgresql or '-'}; "
            f"load before {self.load_before:.2f}"
        )


def this_machine(found: Servers | None, load_before: float, *, postgresql: str | None = None) -> Machine:
    """This one, with the servers that were found; `postgresql`: the version where it is measured alone."""
    return Machine(
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        rabbitmq=found.rabbitmq if found else None,
        postgresql=found.postgresql if found else postgresql,
        load_before=load_before,
    )
