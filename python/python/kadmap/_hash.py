"""The user's hash function: where names live."""

from __future__ import annotations

from typing import Union
from collections.abc import Callable

from kadmap._keys import Key
from kadmap._log import logger

Place = Union[str, bytes, int]
HashFunction = Callable[[Key], Place]

_SPACE = 2**256


def place_of(function: HashFunction, key: Key) -> bytes | int:
    """What the extension takes as `place`: bytes are hashed again, an int is the place itself.

    An exception of the function's own is logged and fails the one request that asked.
    """
    try:
        place = function(key)
        if isinstance(place, str):
            return place.encode("utf-8", "surrogatepass")
        if isinstance(place, bytes):
            return bytes(place)
        if isinstance(place, int) and not isinstance(place, bool):
            return int(place) % _SPACE
        raise TypeError(
            f"hash_function({key!r}) returned {place!r}, a {type(place).__name__}: return str, bytes or int"
        )
    except Exception:
        logger.exception("the hash_function failed for key %r", key)
        raise
