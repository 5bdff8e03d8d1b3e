"""Checkers that exist for Node only; `make node` installs what package.json names."""

import shutil
from pathlib import Path

from tests.services import absent

_BIN = Path(__file__).parent / "node_modules" / ".bin"


def node_tool(name: str) -> str:
    """The path of an installed checker; the running test is skipped, or fails, where there is none."""
    if shutil.which("node") is None:
        absent("Node.js", "node is not on PATH")
    if not (_BIN / name).exists():
        absent("Node.js", f"{name} is not installed")
    return str(_BIN / name)
