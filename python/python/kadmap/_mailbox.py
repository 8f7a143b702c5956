"""Operations whose outcomes come by a queue: what asyncio and gevent have in common."""

from __future__ import annotations

import itertools
from typing import Any, Generic, TypeVar
from collections.abc import Callable

from kadmap._call import Call
from kadmap._kadmap import Operation, Queue
from kadmap._native import original

WAKE_BYTES_MAX = 4096
"""Bytes read away at a time; there is at most a handful, as only a push into an empty queue writes one."""

Waiter = TypeVar("Waiter")


class Mailbox(Generic[Waiter]):
    """One queue, the socket that tells when there is something in it, and who waits for what.

    Belongs to one thread: that of its loop or hub.
    """

    def __init__(self, wake: Callable[[Waiter, bool, Any], None]) -> None:
        """`wake(waiter, ok, result or exception)` is called when an operation has ended."""
        self._queue = Queue()
        self.socket = original("socket", "socket")(fileno=self._queue.take_fd())
        self.socket.setblocking(False)
        self._tokens = itertools.count(1)
        self._waiting: dict[int, Waiter] = {}
        self._wake = wake

    def __len__(self) -> int:
        return len(self._waiting)

    def start(self, call: Call[Any], waiter: Waiter) -> tuple[int, Operation]:
        """Starts an operation; the waiter is woken by a later `deliver`."""
        token = next(self._tokens)
        self._waiting[token] = waiter
        try:
            operation: Operation = call.method(*call.args, **call.options, queue=self._queue, token=token)
        except BaseException:
            del self._waiting[token]
            raise
        return token, operation

    def abandon(self, token: int, operation: Operation) -> None:
        """Drops an operation nobody waits for any more."""
        self._waiting.pop(token, None)
        operation.cancel()

    def deliver(self) -> None:
        """Hands out what has arrived; to be called when the socket is readable."""
        try:
            # Before draining: what is pushed after the drain writes a byte of its own.
            self.socket.recv(WAKE_BYTES_MAX)
        except BlockingIOError:
            pass
        self.hand_out()

    def hand_out(self) -> None:
        """Hands out what has arrived, when the bytes have been read already."""
        for token, ok, result in self._queue.drain():
            waiter = self._waiting.pop(token, None)
            if waiter is not None:
                self._wake(waiter, ok, result)

    def close(self) -> None:
        """Drops everything; idempotent."""
        self._waiting.clear()
        self._queue.close()
        self.socket.close()
