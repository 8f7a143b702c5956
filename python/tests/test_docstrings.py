"""The examples in docstrings and in the Python page run as they stand."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ports import is_free

import gevent_dht
import kad
import kadmap
from kadmap import aio
from kadmap.testing import swarm

PAGE = Path(__file__).parents[1] / "README.md"


def modules() -> list[str]:
    names = []
    for package in (kadmap, kad, gevent_dht):
        names.append(package.__name__)
        names += [f"{package.__name__}.{module.name}" for module in pkgutil.iter_modules(package.__path__)]
    return [name for name in names if not name.endswith(("_kadmap", "__main__", "_gevent"))]


@pytest.mark.parametrize("name", modules())
def test_docstrings_tell_the_truth(name: str) -> None:
    module = importlib.import_module(name)
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        if not test.examples:
            continue
        # A fresh node for each docstring, under the name that they all use.
        with swarm(1) as (dht,):
            test.globs.update({"dht": dht, "kadmap": kadmap, "aio": aio})
            results = doctest.DocTestRunner(verbose=False).run(test)
        assert results.failed == 0


def test_every_public_method_has_a_docstring() -> None:
    for owner in (kadmap.DHT, aio.DHT, kad.DHT, kad.DHTRequestHandler, gevent_dht.distributedHashTable):
        for name in dir(owner):
            if not name.startswith("_"):
                assert getattr(owner, name).__doc__, f"{owner.__module__}.{owner.__name__}.{name}"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.M | re.S)


SESSION = """
import doctest, pathlib, sys

text = pathlib.Path(sys.argv[1]).read_text()
session = doctest.DocTestParser().get_doctest(text, {}, "page", None, 0)
results = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(session, clear_globs=False)
print("failed:", results.failed)
input()
"""


def test_the_first_minute_of_the_page_is_true(program: Callable[..., Any], tmp_path: Path) -> None:
    if not (is_free(8339) and is_free(8340)):
        pytest.skip("the ports that the page shows are taken")
    for number, session in enumerate(blocks("pycon")):
        (tmp_path / str(number)).write_text(session)
        running = program(SESSION, number)
        assert running.line() == "failed: 0", running.rest()
    get = "from kadmap.__main__ import main\nmain()\n"
    command, promised = blocks("console")[-1].splitlines()
    assert command.split()[:2] == ["$", "kadmap"]
    assert program(get, *command.split()[2:]).finish()[0] == promised + "\n"


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_the_programs_of_the_page_run(program: Callable[..., Any], number: int) -> None:
    source = blocks("python")[number]
    if "import gevent\n" in source:
        pytest.importorskip("gevent")
    promised = "".join(f"{line}\n" for line in re.findall(r"print\(.*#\s(.*)$", source, re.M))
    assert program(source).finish() == (promised, "")
