"""The rows of a shelf that is an SQLite file, as `shelve.open` makes them from Python 3.13 on.

Its connection works only on the thread that opened it, and the node writes on its own, by a second connection.
"""

from __future__ import annotations

import sqlite3
from typing import Any

_PATH = "SELECT file FROM pragma_database_list WHERE name = 'main'"
_KEYS = "SELECT key FROM Dict"
_READ = "SELECT value FROM Dict WHERE key = CAST(? AS BLOB)"
_WRITE = "REPLACE INTO Dict (key, value) VALUES (CAST(? AS BLOB), CAST(? AS BLOB))"
_DELETE = "DELETE FROM Dict WHERE key = CAST(? AS BLOB)"


class SqliteRows:
    """The same file as a `dbm.sqlite3` database, for any thread; its user takes care that there is one at a time."""

    def __init__(self, database: Any) -> None:
        (path,) = database._cx.execute(_PATH).fetchone()
        # isolation_level None: each statement is its own transaction, as in dbm.sqlite3.
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        # The file is in WAL mode: a process that dies loses nothing, and a commit does not wait for the disk.
        self._connection.execute("PRAGMA synchronous = NORMAL")

    def close_own(self) -> None:
        """Closes this second connection; the shelf's own stays."""
        self._connection.close()

    def keys(self) -> list[bytes]:
        """All keys."""
        return [key for (key,) in self._connection.execute(_KEYS)]

    def __getitem__(self, key: bytes) -> bytes:
        row = self._connection.execute(_READ, (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        return bytes(row[0])

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._connection.execute(_WRITE, (key, value))

    def __delitem__(self, key: bytes) -> None:
        self._connection.execute(_DELETE, (key,))
