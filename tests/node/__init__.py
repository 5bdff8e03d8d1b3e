"""Checkers that exist for Node only; `make node` installs what package.json names."""

import shutil
from pathlib import Path

from tests.services import absent

_HERE = Path(__file__).parent
_MODULES = _HERE / "node_modules"
_BIN = _MODULES / ".bin"


def node_tool(name: str) -> str:
    """The path of an installed checker; the running test is skipped, or fails, where there is none."""
    _node()
    if not (_BIN / name).exists():
        absent("Node.js", f"{name} is not installed")
    return str(_BIN / name)


def node_script(name: str, *packages: str) -> list[str]:
    """The command that runs a script of this folder, which needs these packages; else as `node_tool`."""
    node = _node()
    for package in packages:
        if not (_MODULES / package).exists():
            absent("Node.js", f"{package} is not installed")
    return [node, str(_HERE / name)]


def _node() -> str:
    node = shutil.which("node")
    if node is None:
        absent("Node.js", "node is not on PATH")
    return node
