"""Fixtures for all tests: nodes on loopback, and programs in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import configuration

import kadmap
from kadmap.testing import swarm

PROGRAM_TIMEOUT_S = 60

# What a shell starts in the background ignores the interrupt, and so would all programs that the tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Not into the checkout.
configuration.set_hypothesis_home_dir(Path(tempfile.gettempdir()) / "kadmap-hypothesis")


@pytest.fixture
def dht() -> Iterator[kadmap.DHT]:
    """A node of its own."""
    with swarm(1) as nodes:
        yield nodes[0]


@pytest.fixture
def pair() -> Iterator[list[kadmap.DHT]]:
    """Two nodes that know each other."""
    with swarm(2) as nodes:
        yield nodes


@pytest.fixture(scope="session")
def four() -> Iterator[list[kadmap.DHT]]:
    """Four nodes that know each other, for tests that use keys of their own."""
    with swarm(4) as nodes:
        yield nodes


class Program:
    """A Python program in a process of its own, killed by its id when the test is over."""

    def __init__(self, source: str, folder: Path, *arguments: str) -> None:
        path = folder / f"program_{len(list(folder.glob('program_*')))}.py"
        path.write_text(source)
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-W", "error::ResourceWarning", str(path), *arguments],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONFAULTHANDLER": "1"},
        )

    def line(self) -> str:
        """The next line it prints."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            pytest.fail(f"the program ended with {self.process.wait()}: {self._errors()}")
        return line.rstrip("\n")

    def rest(self) -> str:
        """Stops it; what else it had printed."""
        self.process.kill()
        return "".join(self.process.communicate())

    def say(self, line: str) -> None:
        """Gives it a line on stdin."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def finish(self) -> tuple[str, str]:
        """What it printed on stdout and stderr, once it has ended by itself and well."""
        out, err = self.process.communicate(timeout=PROGRAM_TIMEOUT_S)
        assert self.process.returncode == 0, f"exit code {self.process.returncode}\n{out}\n{err}"
        return out, err

    def _errors(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Starts programs: `program(source, *arguments)`."""
    started: list[Program] = []

    def start(source: str, *arguments: Any) -> Program:
        started.append(Program(source, tmp_path, *map(str, arguments)))
        return started[-1]

    yield start
    for one in started:
        one.kill()
