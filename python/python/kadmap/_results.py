"""What operations return beside the classes of the extension."""

from __future__ import annotations

from typing import Any, NamedTuple

from kadmap import _values
from kadmap._kadmap import Peer
from kadmap._kadmap import Reading as RawReading

ABSENT = "0" * 32
"""The version of a key under which nothing ever was: `put_if_version(key, value, ABSENT)` writes only if nothing is there."""


class Reading(NamedTuple):
    """What a read found.

    >>> dht.set("colour", "red").version == dht.read("colour").version
    True
    >>> dht.read("nothing").found
    False
    """

    found: bool
    """Whether there is a value; None is one."""
    value: Any
    """The value, or None."""
    version: str
    """The state of the record: equal versions mean equal records. `kadmap.ABSENT` when nothing ever was there."""
    answers: int
    """How many replicas answered."""
    need: int
    """How many had to."""
    replicas: int
    """How many there are."""
    repaired: int
    """How many lacked something and got it."""


def reading(raw: RawReading) -> Reading:
    """The reading of an extension's, with its value decoded."""
    found = raw.value is not None
    value = _values.decode(raw.value) if raw.value is not None else None
    return Reading(found, value, raw.version, raw.answers, raw.need, raw.replicas, raw.repaired)


class Introduction(NamedTuple):
    """A peer, and what it tells of itself."""

    peer: Peer
    """Its id, address and round trip."""
    id: int
    """The `id` it was made with, else its node id as a number."""
    info: Any
    """The `info` it was made with."""
