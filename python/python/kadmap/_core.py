"""Every operation, before anybody waits for it: `DHT` runs these blocking, `aio.DHT` on a loop."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from typing import Any, Optional, TypeVar
from collections.abc import Callable

from kadmap import _keys, _values
from kadmap._addresses import Address, seed_addresses
from kadmap._call import Call, Steps, as_is
from kadmap._hash import place_of
from kadmap._kadmap import Announcement as RawAnnouncement
from kadmap._kadmap import Conflict, Lookup, Node, Peer, PutResult, Status
from kadmap._kadmap import Reading as RawReading
from kadmap._kadmap import Watch as RawWatch
from kadmap._keys import Key
from kadmap._lists import ListItem, Moment, Provider, RawItem, RecordSizeWarning, list_item, milliseconds, provider
from kadmap._log import logger
from kadmap._results import ABSENT, Introduction, Reading, reading
from kadmap._settings import Consistency, Settings, read_introduction

T = TypeVar("T")

_WARNED_KEYS_MAX = 1024
"""Keys remembered of which a warning was given; when they are more, all are warned of anew."""
_CALLER = 4
"""Frames between a warning and whoever called the handle."""

Seconds = Optional[float]
Level = Optional[Consistency]


class Core:
    """A running node, and how keys and values get there."""

    def __init__(self, node: Node, settings: Settings) -> None:
        self.node = node
        self._hash_function = settings.hash_function
        self._settings = settings
        self.storage = settings.storage
        self._warned: set[Key] = set()

    def place(self, key: Key) -> bytes | int | None:
        """Where a key lives, as the extension takes it."""
        if self._hash_function is None:
            return None
        _keys.encode(key)  # A function of the user's sees nothing that cannot be a key.
        return place_of(self._hash_function, key)

    def put(
        self, key: Key, value: Any, ttl: Seconds, timeout: Seconds, level: Level, version: Optional[str]
    ) -> Call[PutResult]:
        options = {**self._options(key, timeout, level), "ttl": ttl, "if_version": version}
        return Call(self.node.put, (_keys.encode(key), _values.encode(value)), options, self._written(key))

    def append(self, key: Key, item: Any, ttl: Seconds, timeout: Seconds, level: Level) -> Call[PutResult]:
        options = {**self._options(key, timeout, level), "ttl": ttl}
        return Call(self.node.append, (_keys.encode(key), _values.encode(item)), options, self._written(key))

    def put_field(
        self, key: Key, field: str, value: Any, ttl: Seconds, timeout: Seconds, level: Level
    ) -> Call[PutResult]:
        options = {**self._options(key, timeout, level), "ttl": ttl}
        arguments = (_keys.encode(key), _text(field), _values.encode(value))
        return Call(self.node.put_field, arguments, options, self._written(key))

    def delete_field(self, key: Key, field: str, timeout: Seconds, level: Level) -> Call[PutResult]:
        return Call(
            self.node.delete_field, (_keys.encode(key), _text(field)), self._options(key, timeout, level), as_is
        )

    def delete(self, key: Key, timeout: Seconds = None, level: Level = None) -> Call[PutResult]:
        return Call(self.node.delete, (_keys.encode(key),), self._options(key, timeout, level), as_is)

    def remove(self, key: Key, id: str, timeout: Seconds, level: Level) -> Call[PutResult]:
        return Call(self.node.remove, (_keys.encode(key), id), self._options(key, timeout, level), as_is)

    def trim(
        self,
        key: Key,
        keep: Optional[int],
        before: Optional[Moment],
        up_to: Optional[str],
        timeout: Seconds,
        level: Level,
    ) -> Call[Optional[PutResult]]:
        what = {"keep": keep, "up_to": up_to, "since_ms": None if before is None else milliseconds(before)}
        return Call(self.node.trim, (_keys.encode(key),), {**self._options(key, timeout, level), **what}, as_is)

    def item_pages(
        self, key: Key, after: Optional[str], timeout: Seconds, level: Level
    ) -> Callable[[], Optional[Call[list[ListItem]]]]:
        """A function that makes the call for the next page of a list's items; None at the end."""
        options = self._options(key, timeout, level)
        name = _keys.encode(key)
        is_last = False

        def finish(page: tuple[list[RawItem], Optional[str], bool]) -> list[ListItem]:
            nonlocal after, is_last
            items, after, _ = page
            is_last = after is None
            return [list_item(item) for item in items]

        def next_page() -> Optional[Call[list[ListItem]]]:
            return None if is_last else Call(self.node.items, (name,), {**options, "after": after}, finish)

        return next_page

    def announce(
        self, key: Key, payload: Any, ttl: Seconds, id: Optional[str], timeout: Seconds, level: Level
    ) -> Call[RawAnnouncement]:
        options = {**self._options(key, timeout, level), "ttl": ttl, "id": id}
        return Call(self.node.announce, (_keys.encode(key), _values.encode(payload)), options, as_is)

    def announce_once(
        self, key: Key, payload: Any, ttl: Seconds, id: Optional[str], timeout: Seconds, level: Level
    ) -> Call[PutResult]:
        options = {**self._options(key, timeout, level), "ttl": ttl, "id": id}
        return Call(self.node.announce_once, (_keys.encode(key), _values.encode(payload)), options, self._written(key))

    def withdraw(self, key: Key, id: Optional[str], timeout: Seconds, level: Level) -> Call[PutResult]:
        return Call(self.node.withdraw, (_keys.encode(key), id), self._options(key, timeout, level), as_is)

    def providers(self, key: Key, timeout: Seconds, level: Level) -> Call[list[Provider]]:
        def finish(raw: list[tuple[str, tuple[str, Any], int]]) -> list[Provider]:
            return [provider(one) for one in raw]

        return Call(self.node.providers, (_keys.encode(key),), self._options(key, timeout, level), finish)

    def read(self, key: Key, timeout: Seconds = None, level: Level = None) -> Call[Reading]:
        return Call(self.node.get, (_keys.encode(key),), self._options(key, timeout, level), reading)

    def value(self, key: Key, timeout: Seconds = None, level: Level = None) -> Call[Any]:
        """The value, or KeyError."""

        def finish(raw: RawReading) -> Any:
            if raw.value is None:
                raise KeyError(key)
            return _values.decode(raw.value)

        return Call(self.node.get, (_keys.encode(key),), self._options(key, timeout, level), finish)

    def get(self, key: Key, default: T, timeout: Seconds, level: Level) -> Call[Any]:
        def finish(raw: RawReading) -> Any:
            return default if raw.value is None else _values.decode(raw.value)

        return Call(self.node.get, (_keys.encode(key),), self._options(key, timeout, level), finish)

    def contains(self, key: Key) -> Call[bool]:
        def finish(raw: RawReading) -> bool:
            return raw.value is not None

        return Call(self.node.get, (_keys.encode(key),), self._options(key, None, None), finish)

    def watch(self, key: Key, initial: bool, timeout: Seconds) -> Call[RawWatch]:
        options = {"place": self.place(key), "initial": initial, "timeout": timeout}
        return Call(self.node.watch, (_keys.encode(key),), options, as_is)

    def names(self) -> Call[list[Key]]:
        return Call(self.node.names, (), {}, _decoded)

    def names_at(self, place: int) -> Call[list[Key]]:
        return Call(self.node.names_at, (place,), {}, _decoded)

    def join(self, seeds: Iterable[Address], timeout: float) -> Call[None]:
        return Call(self.node.join, (seed_addresses(seeds), timeout), {}, as_is)

    def peers(self) -> Call[list[Peer]]:
        return Call(self.node.peers, (), {}, as_is)

    def introductions(self, timeout: float) -> Call[list[Introduction]]:
        def finish(answers: list[tuple[Peer, Optional[str]]]) -> list[Introduction]:
            return [_introduction(peer, text) for peer, text in answers]

        return Call(self.node.peers_info, (timeout,), {}, finish)

    def status(self) -> Call[Status]:
        return Call(self.node.status, (), {}, as_is)

    def lookup(self, key: Key) -> Call[Lookup]:
        return Call(self.node.lookup, (_keys.encode(key),), {"place": self.place(key)}, as_is)

    def place_as_int(self, key: Key) -> int:
        return self.node.place_of(_keys.encode(key), self.place(key))

    def leave(self, timeout: float) -> Call[int]:
        return Call(self.node.leave, (timeout,), {}, as_is)

    def pages(self) -> Callable[[], Call[Optional[list[Key]]]]:
        """A function that makes the call for the next page of the swarm's keys; a page of None is the end."""
        scan = self.node.scan()

        def finish(page: Optional[list[bytes]]) -> Optional[list[Key]]:
            return None if page is None else _decoded(page)

        return lambda: Call(scan.next_page, (), {}, finish)

    def delete_existing(self, key: Key) -> Steps[None]:
        """Deletes; KeyError when there is nothing."""
        yield self.value(key)
        yield self.delete(key)

    def take(self, key: Key) -> Steps[Any]:
        """Reads and deletes; KeyError when there is nothing."""
        value = yield self.value(key)
        yield self.delete(key)
        return value

    def set_default(self, key: Key, default: Any) -> Steps[Any]:
        """Reads; writes the default if there is nothing, unless somebody else is first."""
        while True:
            found: Reading = yield self.read(key)
            if found.found:
                return found.value
            try:
                # After a delete the version is the tombstone's.
                yield self.put(key, default, None, None, None, found.version)
            except Conflict:
                continue
            return _values.decode(_values.encode(default))

    def restore(self) -> Steps[None]:
        """Brings into the swarm what a storage holds without a state of ours, where the swarm does not know the name."""
        if self.storage is None:
            return
        for key, value in list(self._unknown()):
            try:
                yield from self._restore_value(key, value)
            except Exception as error:
                logger.warning("cannot share %r from the storage: %s", key, error)

    def _restore_value(self, key: Key, value: Any) -> Steps[None]:
        assert self.storage is not None
        # All replicas are asked, as this node may just have joined and hold nothing yet itself.
        known: Reading = yield self.read(key, level="all")
        if known.version == ABSENT:
            try:
                yield self.put(key, value, None, None, None, ABSENT)
            except Conflict:
                logger.debug("%r was written by another node meanwhile", key)
        elif not known.found:
            # What the swarm has deleted goes from the storage too.
            self.storage.drop(key)

    def _unknown(self) -> Iterator[tuple[Key, Any]]:
        assert self.storage is not None
        yield from self.storage.unknown()
        for name, place in self.storage.loaded:
            # Another hash function than last time: its records are where nobody looks any more.
            key = _keys.decode(name)
            if self.place_as_int(key) != place:
                yield key, self.storage.value(key)
        self.storage.loaded = []

    def _written(self, key: Key) -> Callable[[PutResult], PutResult]:
        """What to make of a write's result: itself, and once for each key a warning when its record is nearly full."""

        def finish(result: PutResult) -> PutResult:
            if result.is_nearly_full and key not in self._warned:
                if len(self._warned) >= _WARNED_KEYS_MAX:
                    self._warned.clear()
                self._warned.add(key)
                used, allowed = result.record_bytes, result.record_bytes_max
                message = f"{key!r} holds {used} of at most {allowed} bytes: trim it or use another key"
                warnings.warn(message, RecordSizeWarning, stacklevel=_CALLER)
            return result

        return finish

    def _options(self, key: Key, timeout: Seconds, level: Level) -> dict[str, Any]:
        return {"place": self.place(key), "timeout": timeout, "consistency": level}


def _decoded(names: list[bytes]) -> list[Key]:
    return [_keys.decode(name) for name in names]


def _text(field: object) -> str:
    if not isinstance(field, str):
        raise TypeError(f"a field is a str, as in JSON, not {field!r}")
    return field


def _introduction(peer: Peer, text: Optional[str]) -> Introduction:
    id, info = read_introduction(text)
    return Introduction(peer, int(peer.id, 16) if id is None else id, info)
