"""kad.py's shelf class, for programs that use it by name."""

from __future__ import annotations

import shelve
from collections.abc import Iterator
from typing import Any


class Shelve:
    """A shelf in a file; `shelve.open(path)` itself does as well."""

    def __init__(self, path: str) -> None:
        self.data = shelve.open(path)

    def __getitem__(self, key: str) -> Any:
        return self.data[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.data[key] = value

    def __delitem__(self, key: str) -> None:
        del self.data[key]

    def __contains__(self, key: str) -> bool:
        return key in self.data

    def __iter__(self) -> Iterator[str]:
        return iter(self.data)

    def get(self, key: str) -> Any:
        """The value under a key."""
        return self.data[key]

    def set(self, key: str, value: Any) -> None:
        """Stores a value under a key."""
        self.data[key] = value

    def contains(self, key: str) -> bool:
        """Whether there is a value under a key."""
        return key in self.data

    def dump(self) -> dict[str, Any]:
        """All keys and values."""
        return dict(self.data)

    def sync(self) -> None:
        """Brings everything to the disk."""
        self.data.sync()

    def close(self) -> None:
        """Closes the file."""
        self.data.close()
