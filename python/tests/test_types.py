"""Type checkers: the package and its examples are clean under mypy --strict, and the stubs are the module."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import kadmap

pytest.importorskip("mypy")

PYTHON = Path(__file__).parents[1]
SOURCES = Path(kadmap.__file__).parents[1]


def run(*arguments: str) -> None:
    environment = dict(os.environ)
    if "site-packages" not in SOURCES.parts:
        environment["MYPYPATH"] = str(SOURCES)
    result = subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=PYTHON,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.timeout(300)
def test_the_packages_are_clean(tmp_path: Path) -> None:
    run("mypy", "--strict", "--cache-dir", str(tmp_path), "-p", "kadmap", "-p", "kad", "-p", "gevent_dht")


@pytest.mark.timeout(300)
def test_examples_and_bench_are_clean(tmp_path: Path) -> None:
    for path in sorted(PYTHON.glob("examples/*.py")):
        # Each is a program of its own.
        run("mypy", "--strict", "--cache-dir", str(tmp_path), str(path))

    run("mypy", "--strict", "--cache-dir", str(tmp_path), *map(str, sorted(PYTHON.glob("bench/[!_]*.py"))))
    run("mypy", "--strict", "--cache-dir", str(tmp_path), str(PYTHON / "bench" / "__main__.py"))


@pytest.mark.timeout(300)
def test_the_stubs_are_the_module(tmp_path: Path) -> None:
    run("mypy.stubtest", "kadmap._kadmap", "--mypy-config-file", str(_config(tmp_path)))


def _config(folder: Path) -> Path:
    path = folder / "mypy.ini"
    path.write_text(f"[mypy]\ncache_dir = {folder}\n")
    return path
