"""The documents of the two programs that kadmap descends from: their code blocks as programs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "shared" / "seeds"
"""Beside the checkout; a stranger's clone has programs of the same shape in `examples/` instead."""


def document(name: str) -> str:
    """The text of a document, or a skipped test where it is not there."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"{name} is not beside this checkout; examples/ covers the same ground")
    return path.read_text()


def kad_blocks() -> dict[str, str]:
    """The code blocks of kad.py's document, by the heading above each."""
    blocks = re.findall(r"^## (?:Example: )?(.+?)$.*?^```python\n(.*?)^```", document("kad.py.md"), re.M | re.S)
    return dict(blocks)


def gevent_dht_block(address: str) -> str:
    """The code of gevent_dht's document in one program: its prose left out and what the page lost put back.

    That is the indentation of the two loops, the address of the first node, and print as a call.
    """
    lines = document("gevent_dht.txt").splitlines()
    first = lines.index("import gevent_dht")
    last = max(number for number, line in enumerate(lines) if line.startswith("print i"))
    program = []
    for line in lines[first : last + 1]:
        if re.match(r"print i\b", line):
            line = re.sub(r"print i(.*)", r"    print(i)\1", line)
        program.append(line.replace("'', local_port", f"{address!r}, local_port"))
    return "\n".join(program) + "\n"
