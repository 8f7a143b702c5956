"""The user's `storage` object as the node's extension sees it: names and plain values for the user, exact state for us."""

from __future__ import annotations

import shelve
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Optional
from collections.abc import Iterator

from kadmap import _keys, _values
from kadmap._keys import Key
from kadmap._log import logger
from kadmap._native import original
from kadmap._wait import plugin_running

SYNC_INTERVAL_S = 0.1
"""A storage that can `sync()` is synced this long after a write, so at most ten times a second."""

Loaded = tuple[bytes, int, bytes]
"""Name, place and exact state of a record."""


class UserStorage(ABC):
    """What the extension calls, on the node's thread: `load` once, then `save` and `forget` for each change."""

    def __init__(self, storage: Any) -> None:
        self.storage = storage
        self.loaded: list[tuple[bytes, int]] = []
        self._lock = original("_thread", "allocate_lock")()
        self._sync_due = False

    def load(self) -> list[Loaded]:
        """Every record whose exact state is there."""
        with plugin_running("storage"), self._lock:
            records = self._load()
        self.loaded = [(name, place) for name, place, _ in records]
        return records

    def save(self, name: bytes, place: int, blob: bytes, value: Optional[_values.Pair]) -> None:
        """One record changed; no value: there is nothing to see any more."""
        with plugin_running("storage"), self._lock:
            if value is None:
                self._remove(_keys.decode(name))
            else:
                self._write(_keys.decode(name), _values.decode(value), place, blob)
        self._sync_soon()

    def forget(self, name: bytes, place: int) -> None:
        """This node no longer holds the record."""
        with plugin_running("storage"), self._lock:
            self._remove(_keys.decode(name))
        self._sync_soon()

    def unknown(self) -> Iterator[tuple[Key, Any]]:
        """Values that somebody else put there, in whatever order."""
        with self._lock:
            keys = self._unknown_keys()
        for key in keys:
            try:
                with self._lock:
                    value = self._read(key)
            except Exception:
                logger.exception("cannot read %r from the storage", key)
                continue
            yield key, value

    def value(self, key: Key) -> Any:
        """The plain value under a key; KeyError when there is none."""
        with self._lock:
            return self._read(key)

    def drop(self, key: Key) -> None:
        """Removes what the swarm has deleted meanwhile."""
        with self._lock:
            self._remove(key)
        self._sync_soon()

    def sync(self) -> None:
        """Brings everything to the disk, if the storage can do that."""
        with self._lock:
            self._sync()

    def close(self) -> None:
        """The node has stopped: brings everything to the disk and lets go. The storage itself is the user's to close."""
        self.sync()

    @abstractmethod
    def _load(self) -> list[Loaded]: ...
    @abstractmethod
    def _unknown_keys(self) -> list[Key]: ...
    @abstractmethod
    def _read(self, key: Key) -> Any: ...
    @abstractmethod
    def _write(self, key: Key, value: Any, place: int, blob: bytes) -> None: ...
    @abstractmethod
    def _remove(self, key: Key) -> None: ...
    @abstractmethod
    def _sync(self) -> None: ...
    @abstractmethod
    def _can_sync(self) -> bool: ...

    def _sync_soon(self) -> None:
        if self._sync_due or not self._can_sync():
            return
        self._sync_due = True
        original("_thread", "start_new_thread")(self._sync_later, ())

    def _sync_later(self) -> None:
        original("time", "sleep")(SYNC_INTERVAL_S)
        self._sync_due = False
        try:
            self.sync()
        except Exception:
            logger.exception("the storage's sync() failed")


class ObjectStorage(UserStorage):
    """Any object with `__getitem__` and `__setitem__`: it holds plain values, of which the user may add some.

    A mapping gets the user's keys as they are.
    Anything else gets text (see `text_of`), as kad.py gave it.
    """

    def __init__(self, storage: Any) -> None:
        super().__init__(storage)
        self._as_text = not isinstance(storage, Mapping)
        self._deletes = hasattr(type(storage), "__delitem__")

    def _load(self) -> list[Loaded]:
        return []

    def _unknown_keys(self) -> list[Key]:
        keys: list[Key] = []
        for entry in self._entries():
            try:
                key = key_of(entry) if self._as_text and isinstance(entry, str) else entry
                _keys.encode(key)
                keys.append(key)
            except TypeError as error:
                logger.warning("the storage has an entry that cannot be shared: %s", error)
        return keys

    def _entries(self) -> list[Any]:
        if callable(getattr(self.storage, "keys", None)):
            return list(self.storage.keys())
        # iter() would take __getitem__ alone for a sequence.
        return list(self.storage) if hasattr(type(self.storage), "__iter__") else []

    def unknown(self) -> Iterator[tuple[Key, Any]]:
        for key, value in super().unknown():
            # Where nothing can be deleted, None stands for deleted.
            if value is not None or self._deletes:
                yield key, value

    def _read(self, key: Key) -> Any:
        return self.storage[self._entry(key)]

    def _write(self, key: Key, value: Any, place: int, blob: bytes) -> None:
        self.storage[self._entry(key)] = value

    def _remove(self, key: Key) -> None:
        try:
            if self._deletes:
                del self.storage[self._entry(key)]
            else:
                self.storage[self._entry(key)] = None
        except KeyError:
            pass

    def _entry(self, key: Key) -> Key:
        return text_of(key) if self._as_text else key

    def _can_sync(self) -> bool:
        return callable(getattr(self.storage, "sync", None))

    def _sync(self) -> None:
        if self._can_sync():
            self.storage.sync()


_ESCAPE = "\0"


def text_of(key: Key) -> str:
    """The text of a key for storages that only take text: a str is itself, the others begin with a NUL and a letter."""
    if isinstance(key, str):
        try:
            key.encode()
        except UnicodeEncodeError:
            return f"{_ESCAPE}u{key.encode('utf-8', 'surrogatepass').hex()}"
        return f"{_ESCAPE}s{key}" if key.startswith(_ESCAPE) else key
    if isinstance(key, _keys.Name):
        return f"{_ESCAPE}n{bytes(key).decode('latin-1')}"
    if isinstance(key, bytes):
        return f"{_ESCAPE}b{key.decode('latin-1')}"
    return f"{_ESCAPE}i{key}"


def key_of(text: str) -> Key:
    """The key of such a text."""
    if not text.startswith(_ESCAPE):
        return text
    kind, rest = text[1:2], text[2:]
    try:
        if kind == "i":
            return int(rest)
        if kind == "b":
            return rest.encode("latin-1")
        if kind == "n":
            return _keys.Name(rest.encode("latin-1"))
        if kind == "u":
            return bytes.fromhex(rest).decode("utf-8", "surrogatepass")
        if kind == "s":
            return rest
    except ValueError:
        pass
    return text


def adapted(storage: Any) -> UserStorage:
    """The adapter for a storage of the user's; TypeError for what cannot be one."""
    if not (hasattr(type(storage), "__getitem__") and hasattr(type(storage), "__setitem__")):
        raise TypeError(f"a storage has __getitem__ and __setitem__, as a dict or a shelf: {storage!r} has not")
    if isinstance(storage, shelve.Shelf) and type(storage).__setitem__ is shelve.Shelf.__setitem__:
        from kadmap._shelf import ShelfStorage

        return ShelfStorage(storage)
    return ObjectStorage(storage)
