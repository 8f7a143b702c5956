"""gevent_dht's `distributedHashTable`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Optional

import kadmap
from kadmap import Name
from kadmap._log import logger

DEFAULT_PORT = 8339

_JSON_MARK = b"\xffj"
"""Begins the name of a key that is neither str, bytes nor int: gevent_dht took any JSON."""

_running: set[distributedHashTable] = set()
"""A program of gevent_dht's may drop its table, which runs on until the process ends."""


class distributedHashTable:
    """A node of a swarm, and the table that the swarm shares, as in gevent_dht.

    Differs for the better: works with any number of nodes, keeps every key on up to 20 of them, loses no append, and `in`
    and iteration end.

    Args:
        first_node: None (or "") for the first node, else "host:port" of any member. `kadmap.JoinError` when it does not
            answer.
        local_port: The UDP port on which this node listens.
        local_ip: The address on which it listens; "" for all of this machine's.
    """

    def __init__(self, first_node: Optional[str], local_port: int = DEFAULT_PORT, local_ip: str = "") -> None:
        self.dht = kadmap.DHT(local_ip, local_port, [first_node] if first_node else [])
        _running.add(self)

    def __getitem__(self, key: Any) -> Any:
        """The value under a key; None when there is none, or when too few nodes answer (which is logged)."""
        try:
            return self.dht.get(_name(key))
        except (kadmap.GetError, kadmap.OperationTimeout) as error:
            logger.warning("reading %r: %s", key, error)
            return None

    def __setitem__(self, key: Any, value: Any) -> None:
        """Stores a value under a key, in the place of whatever is there."""
        self.dht[_name(key)] = value

    def append(self, key: Any, value: Any) -> None:
        """Adds an item to the list under a key, which comes to be if nothing is there."""
        self.dht.append(_name(key), value)

    def __contains__(self, key: Any) -> bool:
        """Whether there is a value under a key, anywhere in the swarm."""
        return _name(key) in self.dht

    def __iter__(self) -> Iterator[Any]:
        """Over the keys that this node holds."""
        return map(_key, self.dht.names())

    def __len__(self) -> int:
        """How many keys this node holds."""
        return len(self.dht)

    def __delitem__(self, key: Any) -> None:
        """Removes a key; that nothing was there is no error. Not in gevent_dht."""
        self.dht.delete(_name(key))

    def close(self) -> None:
        """Hands over and leaves. Not in gevent_dht, where a node runs until its process ends."""
        _running.discard(self)
        self.dht.close()

    def __enter__(self) -> distributedHashTable:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self.dht).replace("kadmap.DHT", "gevent_dht.distributedHashTable")


def _name(key: Any) -> kadmap.Key:
    if isinstance(key, (str, bytes, int)) and not isinstance(key, bool):
        return key
    try:
        return Name(_JSON_MARK + json.dumps(key, allow_nan=False, sort_keys=True, separators=(",", ":")).encode())
    except ValueError as error:
        raise TypeError(f"a key is what JSON can carry: {error}") from None


def _key(name: kadmap.Key) -> Any:
    if isinstance(name, Name) and name.startswith(_JSON_MARK):
        return json.loads(name[len(_JSON_MARK) :])
    return name
