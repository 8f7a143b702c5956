"""Every program in examples/ prints what its docstring says, in a process of its own."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ports import moved

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


def promised(source: str) -> str:
    """What a program's docstring says that it prints."""
    docstring = ast.get_docstring(ast.parse(source)) or ""
    _, _, printed = docstring.partition("Prints:\n\n")
    return textwrap.dedent(printed).strip("\n") + "\n"


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_an_example_prints_what_it_promises(program: Callable[..., Any], path: Path) -> None:
    source = path.read_text()
    if "import gevent\n" in source:
        pytest.importorskip("gevent")
    ports = {int(port) for port in re.findall(r"\b(?:32\d\d|83\d\d)\b", source)}
    out, err = program(moved(source, sorted(ports))).finish()
    assert out == promised(source)
    assert err == ""


def test_the_persistent_example_counts_on_when_run_again(program: Callable[..., Any]) -> None:
    (path,) = (path for path in EXAMPLES if path.stem == "kad_persistent_storage")
    source = moved(path.read_text(), [3212])
    assert [program(source).finish()[0] for _ in range(3)] == ["runs: 1\n", "runs: 2\n", "runs: 3\n"]
