"""An announcement of the blocking form."""

from __future__ import annotations

from types import TracebackType
from typing import Optional

from kadmap._call import Call, as_is
from kadmap._kadmap import Announcement as RawAnnouncement
from kadmap._kadmap import PutResult
from kadmap._wait import run


class Announcement:
    """An announcement that is renewed until it is stopped, dropped, or its node ends.

    `stop()`, or the end of a `with`, withdraws it at once; one that is dropped is told until its time is over.

    >>> announcement = dht.announce("model", {"port": 8000})
    >>> len(dht.providers("model"))
    1
    >>> _ = announcement.stop()
    >>> dht.providers("model")
    []
    """

    def __init__(self, raw: RawAnnouncement) -> None:
        self._raw = raw

    @property
    def id(self) -> str:
        """Who is announced, in hexadecimal."""
        return self._raw.id

    def stop(self) -> Optional[PutResult]:
        """Ends the renewals and withdraws the announcement; None when it has ended before."""
        stop: Call[Optional[PutResult]] = Call(self._raw.stop, (), {}, as_is)
        return run(stop)

    def __enter__(self) -> Announcement:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<kadmap.Announcement of {self.id[:16]}>"
