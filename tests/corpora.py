"""Where the corpora are: data that is read in place and is no part of the project."""

import os
from pathlib import Path

import pytest

CORPORA = Path(os.environ.get("TEST_CORPORA") or Path(__file__).parents[1] / "../shared/corpora").resolve()


def corpus(name: str) -> Path:
    """A file or folder of the corpora; skips the running test where it is not there."""
    path = CORPORA / name
    if not path.exists():
        pytest.skip(f"no corpus: looked at {path} (TEST_CORPORA names another place)")
    return path
