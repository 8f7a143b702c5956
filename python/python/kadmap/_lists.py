"""What lists and announcements are made of."""

from __future__ import annotations

import datetime
from typing import Any, NamedTuple, Optional, Union

from kadmap import _values

Moment = Union[float, datetime.datetime]
"""A time: seconds since 1970 as `time.time()` tells them, or a datetime."""

RawItem = tuple[Optional[str], Optional[int], tuple[str, Any]]
"""An item as the extension tells it."""

_WRITER_DIGITS_AT = 17
_COUNTER_BITS = 16


class ListItem(NamedTuple):
    """One element of a list.

    >>> result = dht.append("list", "item")
    >>> [item] = dht.items("list")
    >>> item.value, item.id == result.id
    ('item', True)
    """

    id: Optional[str]
    """By which `remove` finds it; None for an element of a list that was stored as a whole, which only another `set`
    replaces."""
    value: Any
    """The element."""
    expires: Optional[float]
    """When it is gone, in seconds since 1970; None for never."""

    @property
    def written(self) -> Optional[float]:
        """When it was appended by its writer's clock, in seconds since 1970; None for one that has no id."""
        if self.id is None:
            return None
        return (int(self.id[: _WRITER_DIGITS_AT - 1], 16) >> _COUNTER_BITS) / 1000

    @property
    def writer(self) -> Optional[str]:
        """A tag of the handle that appended it, new at each start; None for one that has no id."""
        return None if self.id is None else self.id[_WRITER_DIGITS_AT:]


class Provider(NamedTuple):
    """Somebody who has announced itself.

    >>> with dht.announce("model", "10.0.0.7:8000"):
    ...     [provider] = dht.providers("model")
    >>> provider.id == dht.id, provider.payload
    (True, '10.0.0.7:8000')
    """

    id: str
    """Its id, in hexadecimal."""
    payload: Any
    """What it said."""
    expires: float
    """When it no longer counts unless it renews, in seconds since 1970."""


class RecordSizeWarning(UserWarning):
    """A list or map comes near the most that one key may hold: trim it or use another key, before a write is refused."""


def list_item(raw: RawItem) -> ListItem:
    """The item of an extension's."""
    id, expires_ms, pair = raw
    return ListItem(id, _values.decode(pair), None if expires_ms is None else expires_ms / 1000)


def provider(raw: tuple[str, tuple[str, Any], int]) -> Provider:
    """The provider of an extension's."""
    id, pair, expires_ms = raw
    return Provider(id, _values.decode(pair), expires_ms / 1000)


def milliseconds(moment: Moment) -> int:
    """A time as the extension takes it."""
    seconds = moment.timestamp() if isinstance(moment, datetime.datetime) else float(moment)
    return max(0, int(seconds * 1000))
