"""Views over the keys that a node holds, with values read from the swarm."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, ValuesView
from typing import Any, Protocol

from kadmap._keys import Key
from kadmap._results import Reading


class _Readable(Protocol):
    def names(self) -> list[Key]: ...
    def read(self, key: Key) -> Reading: ...


def _found(dht: _Readable) -> Iterator[tuple[Key, Any]]:
    for key in dht.names():
        reading = dht.read(key)
        # Another node may have deleted it since the names were listed.
        if reading.found:
            yield key, reading.value


class Items(ItemsView[Key, Any]):
    """As `dict.items()`, without what disappears while it is walked through."""

    _mapping: Any

    def __iter__(self) -> Iterator[tuple[Key, Any]]:
        return _found(self._mapping)


class Values(ValuesView[Any]):
    """As `dict.values()`, without what disappears while it is walked through."""

    _mapping: Any

    def __iter__(self) -> Iterator[Any]:
        return (value for _, value in _found(self._mapping))
