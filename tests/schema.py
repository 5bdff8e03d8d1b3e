"""SQLite files that have the schema already: made once a run and copied, as making it outlasts most tests."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway.store.migrate import migrate

_FOLDER = TemporaryDirectory(prefix="gateway-schema-")
_MADE = Path(_FOLDER.name) / "gateway.db"


async def schema_file(path: Path) -> str:
    """Make a database with the schema and nothing in it, unless the file is there; its URL."""
    if not _MADE.exists():
        await migrate(f"sqlite:///{_MADE}")
    _copy(path)
    return f"sqlite:///{path}"


def _copy(path: Path) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_MADE, path)
