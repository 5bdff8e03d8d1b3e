"""The data folder's lock between real processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.store.lock import DataFolderLocked, lock_data_folder

CHILD = """
import sys, time
from pathlib import Path
from gateway.store.lock import lock_data_folder
with lock_data_folder(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_lock_names_its_owner_and_dies_with_it(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with (
            pytest.raises(DataFolderLocked, match=f"in use by process {child.pid}$"),
            lock_data_folder(tmp_path),
        ):
            pass
        os.kill(child.pid, signal.SIGKILL)
    with lock_data_folder(tmp_path):
        assert (tmp_path / "gateway.lock").read_text() == f"{os.getpid()}\n"


def test_it_is_let_go_at_the_end(tmp_path: Path) -> None:
    for _ in range(2):
        with lock_data_folder(tmp_path), pytest.raises(DataFolderLocked), lock_data_folder(tmp_path):
            pass
