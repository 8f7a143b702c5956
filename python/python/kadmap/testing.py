"""Swarms for tests: real nodes on loopback, with ports of their own.

>>> from kadmap.testing import swarm
>>> with swarm(3) as nodes:
...     nodes[0]["colour"] = "red"
...     [node["colour"] for node in nodes]
['red', 'red', 'red']
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from kadmap._dht import DHT

__all__ = ["swarm"]

SETTLE_TIMEOUT_S = 30.0
"""How long nodes may take to know each other before `swarm` gives up."""
_POLL_INTERVAL_S = 0.01
_CONTACTS_WANTED = 20
"""Contacts after which a node counts as settled: as many as there are replicas of a key."""


@contextmanager
def swarm(n: int, **settings: Any) -> Iterator[list[DHT]]:
    """So many nodes on 127.0.0.1 that know each other; stopped when the block ends.

    The settings are those of `kadmap.DHT`, the same for all; host, port and seeds are this function's.
    A setting that is a function of the node's number is asked for each node: `info=lambda number: {"number": number}`,
    `data_dir=lambda number: tmp_path / str(number)`.

    >>> with swarm(2, replication=1, info=lambda number: number) as nodes:
    ...     [told.info for told in nodes[0].introductions()]
    [1]
    """
    if n < 1:
        raise ValueError(f"a swarm has at least one node, not {n}")
    with ExitStack() as stack:
        nodes: list[DHT] = []
        for number in range(n):
            seeds = [nodes[0].address] if nodes else []
            node = DHT("127.0.0.1", 0, seeds, **_settings_of(number, settings))
            # All at once, as nobody needs what they would hand over.
            stack.callback(node.stop)
            nodes.append(node)
        _settle(nodes)
        yield nodes


def _settings_of(number: int, settings: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value(number) if callable(value) and name != "hash_function" else value
        for name, value in settings.items()
    }


def _settle(nodes: list[DHT]) -> None:
    wanted = min(len(nodes) - 1, _CONTACTS_WANTED)
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    for node in nodes:
        while node.status().contacts < wanted:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{node!r} knows {node.status().contacts} of {len(nodes) - 1} nodes")
            time.sleep(_POLL_INTERVAL_S)
