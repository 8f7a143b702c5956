"""kad.py's hash function, for programs that pass it on; without one names are placed by kadmap's own."""

from __future__ import annotations

import hashlib
import secrets
from typing import Union

_ID_BITS = 128


def hash_function(data: Union[str, bytes]) -> int:
    """The place of a key by SHA-256, as in kad.py's last version.

    >>> hash_function("ciao") == hash_function(b"ciao") < 2**256
    True
    """
    raw = data.encode() if isinstance(data, str) else bytes(data)
    return int.from_bytes(hashlib.sha256(raw).digest(), "big")


def random_id() -> int:
    """A number by which a node may call itself.

    >>> random_id() < 2**128
    True
    """
    return secrets.randbits(_ID_BITS)
