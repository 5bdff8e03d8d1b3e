"""Where the RabbitMQ and the PostgreSQL of the integration tests come from.

In this order: an address in the environment, a private server from a binary on this machine, a container.
"""

from tests.services.database import execute, fetch_value, new_database, own_database
from tests.services.found import Service, find_postgres, find_rabbit
from tests.services.report import absent, skipped_lines

__all__ = [
    "Service",
    "absent",
    "execute",
    "fetch_value",
    "find_postgres",
    "find_rabbit",
    "new_database",
    "own_database",
    "skipped_lines",
]
