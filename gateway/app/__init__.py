"""The composition root: one process of any roles, started in order and stopped in reverse.

Nothing outside this package and its neighbours `channel_ports`, `cli` and `commands` knows which
store, bus, channels and workers a process has.
"""

from gateway.app.plan import WORKER_ROLES, Plan, Role, StartRefused
from gateway.app.start import App, run, running

__all__ = ["WORKER_ROLES", "App", "Plan", "Role", "StartRefused", "run", "running"]
