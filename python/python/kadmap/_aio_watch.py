"""The changes of one key, as an asyncio loop iterates over them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Optional

from kadmap._call import Call
from kadmap._kadmap import OperationTimeout, Stopped
from kadmap._kadmap import Watch as RawWatch
from kadmap._watch import Change, next_call

Run = Callable[[Call[Any]], Coroutine[Any, Any, Any]]


class Watch:
    """The changes of one key, each once, and those of one writer in the order in which it made them.

    It begins with the first change that is awaited, or with `async with`; see `kadmap.Watch`.
    Cancelling who waits for a change, as `asyncio.wait_for` does, loses none.
    """

    def __init__(self, run: Run, begin: Call[RawWatch]) -> None:
        self._run = run
        self._begin = begin
        self._raw: Optional[RawWatch] = None
        self._next: Optional[asyncio.Task[Optional[Change]]] = None
        self._closed = False

    def __aiter__(self) -> Watch:
        return self

    async def __anext__(self) -> Change:
        told = await self._wait(None)
        if told is None:
            raise StopAsyncIteration
        return told

    async def next(self, timeout: Optional[float] = None) -> Change:
        """The next change; OperationTimeout when none comes in so many seconds, Stopped when none will come."""
        told = await self._wait(timeout)
        if told is None:
            raise Stopped("the watch has ended")
        return told

    async def close(self) -> None:
        """Ends the watch, and whoever waits for its next change; closing twice is no error."""
        self._closed = True
        if self._raw is not None:
            self._raw.close()
        if self._next is not None:
            self._next.cancel()
            self._next = None

    async def __aenter__(self) -> Watch:
        await self._opened()
        return self

    async def __aexit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        await self.close()

    async def _opened(self) -> RawWatch:
        if self._raw is None:
            self._raw = await self._run(self._begin)
        return self._raw

    async def _wait(self, timeout: Optional[float]) -> Optional[Change]:
        if self._closed:
            return None
        raw = await self._opened()
        # A change that comes after who waited for it was cancelled is the next one's.
        waiting = self._next
        if waiting is None:
            waiting = self._next = asyncio.ensure_future(self._run(next_call(raw, None)))
        # Neither a timeout nor a cancellation ends what is waited for.
        await asyncio.wait({waiting}, timeout=timeout)
        if not waiting.done():
            raise OperationTimeout(f"no change within {timeout} s")
        if self._next is waiting:
            self._next = None
        return None if waiting.cancelled() else waiting.result()
