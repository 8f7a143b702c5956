"""A `shelve.Shelf` as storage: the user finds names and plain values, the node finds its exact state behind them.

An entry is the pickle of the plain value, as shelve writes it, followed by the record's state.
Unpickling stops at the end of the pickle, so that shelve alone reads the value and there are no entries of ours.
What the user wrote has nothing behind the pickle, and is taken for a new value.
"""

from __future__ import annotations

import pickle
import shelve
from typing import Any, Optional

from kadmap import _keys
from kadmap._keys import Key
from kadmap._log import logger
from kadmap._storage import Loaded, UserStorage, key_of, text_of

_MAGIC = b"kadmap\x00\x01"
"""Ends an entry of ours; a pickle ends with a full stop."""
_PLACE_BYTES = 32
_LENGTH_BYTES = 8
_FOOTER_BYTES = _PLACE_BYTES + _LENGTH_BYTES + len(_MAGIC)


def with_state(pickled: bytes, place: int, blob: bytes) -> bytes:
    """An entry: the pickle, the state, its place, its length, and the mark that says so."""
    place_bytes = place.to_bytes(_PLACE_BYTES, "big")
    return b"".join((pickled, blob, place_bytes, len(blob).to_bytes(_LENGTH_BYTES, "big"), _MAGIC))


def state_of(entry: bytes) -> Optional[tuple[int, bytes]]:
    """Place and state behind the pickle of an entry, if there are any."""
    if len(entry) < _FOOTER_BYTES or not entry.endswith(_MAGIC):
        return None
    blob_end = len(entry) - _FOOTER_BYTES
    place_end = blob_end + _PLACE_BYTES
    length = int.from_bytes(entry[place_end : place_end + _LENGTH_BYTES], "big")
    if length > blob_end:
        return None
    return int.from_bytes(entry[blob_end:place_end], "big"), bytes(entry[blob_end - length : blob_end])


class ShelfStorage(UserStorage):
    """A shelf; str keys are themselves there, the others text as `kadmap._storage.text_of` says."""

    def __init__(self, shelf: shelve.Shelf[Any]) -> None:
        super().__init__(shelf)
        self._rows = _rows_of(shelf)
        self._encoding: str = shelf.keyencoding  # type: ignore[attr-defined]
        self._protocol: Optional[int] = getattr(shelf, "_protocol", None)
        self._unknown: list[Key] = []

    def _load(self) -> list[Loaded]:
        records: list[Loaded] = []
        for row in list(self._rows.keys()):
            try:
                key = key_of(bytes(row).decode(self._encoding))
                state = state_of(self._rows[row])
            except Exception:
                logger.exception("cannot read entry %r of the shelf", row)
                continue
            if state is None:
                self._unknown.append(key)
            else:
                records.append((_keys.encode(key), *state))
        return records

    def _unknown_keys(self) -> list[Key]:
        return self._unknown

    def _read(self, key: Key) -> Any:
        return pickle.loads(self._rows[self._row(key)])

    def _write(self, key: Key, value: Any, place: int, blob: bytes) -> None:
        self._rows[self._row(key)] = with_state(pickle.dumps(value, self._protocol), place, blob)
        self._uncache(key)

    def _remove(self, key: Key) -> None:
        try:
            del self._rows[self._row(key)]
        except KeyError:
            pass
        self._uncache(key)

    def _row(self, key: Key) -> bytes:
        return text_of(key).encode(self._encoding)

    def _uncache(self, key: Key) -> None:
        # A shelf with writeback would write what it read before over what we have written since.
        cache = getattr(self.storage, "cache", None)
        if cache:
            cache.pop(text_of(key), None)

    def _can_sync(self) -> bool:
        return callable(getattr(self._rows, "sync", None))

    def close(self) -> None:
        super().close()
        close_own = getattr(self._rows, "close_own", None)
        if close_own is not None:
            close_own()

    def _sync(self) -> None:
        # Not the shelf's own sync(): with writeback that rewrites entries without what we keep behind them.
        # And a user may close the shelf before the node, who then has nothing to sync.
        if self._can_sync() and not _is_closed(self.storage):
            self._rows.sync()


def _is_closed(shelf: Any) -> bool:
    closed = getattr(shelve, "_ClosedDict", None)
    return closed is not None and isinstance(getattr(shelf, "dict", None), closed)


def _rows_of(shelf: Any) -> Any:
    rows = shelf.dict
    if type(rows).__module__ == "dbm.sqlite3":
        from kadmap._sqlite_rows import SqliteRows

        return SqliteRows(rows)
    return rows
