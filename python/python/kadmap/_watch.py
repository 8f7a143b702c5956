"""The changes of one key, as the blocking form iterates over them."""

from __future__ import annotations

from types import TracebackType
from typing import Any, NamedTuple, Optional

from kadmap import _values
from kadmap._call import Call
from kadmap._kadmap import OperationTimeout, Stopped
from kadmap._kadmap import Watch as RawWatch
from kadmap._wait import run


class Change(NamedTuple):
    """What has become of a watched key.

    >>> with dht.watch("list", initial=False) as changes:
    ...     _ = dht.append("list", "milk")
    ...     change = next(changes)
    >>> change.kind, change.value
    ('appended', 'milk')
    """

    kind: str
    """`state`: what is there, first of all and after changes had to be left out. `put`, `deleted`, `appended`, `removed`,
    `field_put`, `field_deleted`: a write. `expired`, `item_expired`, `field_expired`: a time to live is over."""
    value: Any
    """What is there now: the value, the item or the field's value; None where there is none."""
    found: bool
    """Whether there is one; None is a value too."""
    field: Optional[str]
    """The field of a map that it is about."""
    stamp: Optional[str]
    """The write, or the item, as 32 hexadecimal digits: of two writes the later one has the greater stamp."""
    lagged: bool
    """Whether changes before it were left out, because more than 1,024 waited."""


Raw = Optional[tuple[Any, ...]]


def change(raw: tuple[Any, ...]) -> Change:
    """The change of an extension's, with its value decoded."""
    kind, value, field, stamp, lagged = raw
    found = value is not None
    return Change(kind, _values.decode(value) if found else None, found, field, stamp, lagged)


def next_call(raw: RawWatch, timeout: Optional[float]) -> Call[Optional[Change]]:
    """The call for the next change; None is the end, OperationTimeout that none came in time."""

    def finish(told: Raw) -> Optional[Change]:
        if told is None:
            return None
        if len(told) == 1:
            raise OperationTimeout(f"no change within {timeout} s")
        return change(told)

    return Call(raw.next, (timeout,), {}, finish)


class Watch:
    """The changes of one key, each once, and those of one writer in the order in which it made them.

    May be closed from another thread, which ends the iteration; so does closing the DHT.
    Changes wait for who iterates, up to 1,024 or 8 MiB; what follows is left out, and a `state` that says so comes in its
    place.

    >>> with dht.watch("colour", initial=False) as changes:
    ...     dht["colour"] = "red"
    ...     del dht["colour"]
    ...     [next(changes).kind, next(changes).kind]
    ['put', 'deleted']
    """

    def __init__(self, raw: RawWatch) -> None:
        self._raw = raw

    def __iter__(self) -> Watch:
        return self

    def __next__(self) -> Change:
        told = run(next_call(self._raw, None))
        if told is None:
            raise StopIteration
        return told

    def next(self, timeout: Optional[float] = None) -> Change:
        """The next change; OperationTimeout when none comes in so many seconds, Stopped when none will come.

        >>> with dht.watch("colour", initial=False) as changes:
        ...     changes.next(timeout=0.01)
        Traceback (most recent call last):
            ...
        kadmap.OperationTimeout: no change within 0.01 s
        """
        told = run(next_call(self._raw, timeout))
        if told is None:
            raise Stopped("the watch has ended")
        return told

    def close(self) -> None:
        """Ends the watch; the nodes that tell of changes forget it. Closing twice is no error."""
        self._raw.close()

    def __enter__(self) -> Watch:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()
