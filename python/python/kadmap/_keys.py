"""Keys of the user (str, bytes, int) and the names (bytes) under which they travel.

A str is its UTF-8, so that `kadmap get colour` in a shell finds what `dht["colour"] = ...` stored.
Bytes and ints get a prefix that no UTF-8 text can begin with, so the three kinds never meet.
"""

from __future__ import annotations

from typing import Union

Key = Union[str, bytes, int]

_BYTES_MARK = b"\xffb"
_INT_MARK = b"\xffi"


class Name(bytes):
    """A raw name of the swarm that is no key of Python's: other programs may use any bytes.

    Iterating yields one where a name is neither UTF-8 nor marked as bytes or int; used as a key it is that name.

    >>> from kadmap import Name
    >>> Name(b"\\xfe\\x01")
    Name(b'\\xfe\\x01')
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Name({bytes(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Name) and bytes(self) == bytes(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(("kadmap.Name", bytes(self)))


def encode(key: object) -> bytes:
    """The name of a key; TypeError for what cannot be one."""
    if isinstance(key, str):
        return key.encode("utf-8", "surrogatepass")
    if isinstance(key, Name):
        return bytes(key)
    if isinstance(key, bytes):
        return _BYTES_MARK + key
    if isinstance(key, int) and not isinstance(key, bool):
        return _INT_MARK + b"%d" % key
    raise TypeError(
        f"a key is str, bytes or int, but {key!r} is {type(key).__name__}: use for example its repr() or a tuple's "
        "parts joined by '/'"
    )


def decode(name: bytes) -> Key:
    """The key of a name; every name has exactly one."""
    if name.startswith(_BYTES_MARK):
        return name[len(_BYTES_MARK) :]
    if name.startswith(_INT_MARK):
        return _int_of(name)
    try:
        return name.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return Name(name)


def _int_of(name: bytes) -> Key:
    try:
        number = int(name[len(_INT_MARK) :])
    except ValueError:
        return Name(name)
    # "+1", " 1" and "0_1" are numbers to int(), but no key of ours has that name.
    return number if encode(number) == name else Name(name)
