"""Waiting on an asyncio loop: one mailbox for each loop, whatever the number of nodes and operations."""

from __future__ import annotations

import asyncio
import weakref
from typing import Any, Optional

from kadmap._mailbox import WAKE_BYTES_MAX, Mailbox


class LoopReader:
    """The mailbox of one loop, read by `add_reader`, or by a task where the loop has none (Windows)."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self.mailbox: Mailbox[asyncio.Future[Any]] = Mailbox(_wake)
        self._pump: Optional[asyncio.Task[None]] = None
        self._users: weakref.WeakSet[object] = weakref.WeakSet()
        self._closed = False
        try:
            loop.add_reader(self.mailbox.socket.fileno(), self.mailbox.deliver)
        except NotImplementedError:
            self._pump = loop.create_task(_read_on(loop, self.mailbox), name="kadmap")

    def serves(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Whether it is open and this loop's."""
        return not self._closed and self._loop() is loop

    def used_by(self, user: object) -> None:
        """Stays at least until this one is done with it."""
        self._users.add(user)

    def leave(self, user: object) -> None:
        """This one is done with it; the last turns off the light."""
        self._users.discard(user)
        if not self._users and len(self.mailbox) == 0:
            self.close()

    def close(self) -> None:
        """Leaves nothing behind on the loop; idempotent."""
        self._closed = True
        loop = self._loop()
        if loop is not None:
            if _readers.get(loop) is self:
                del _readers[loop]
            if not loop.is_closed():
                self._unhook(loop)
        self.mailbox.close()

    def _unhook(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._pump is not None:
            self._pump.cancel()
        elif self.mailbox.socket.fileno() >= 0:
            loop.remove_reader(self.mailbox.socket.fileno())


def _wake(future: asyncio.Future[Any], ok: bool, result: Any) -> None:
    if future.done():
        return
    if ok:
        future.set_result(result)
    else:
        future.set_exception(result)


_readers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopReader] = weakref.WeakKeyDictionary()


def reader_of(loop: asyncio.AbstractEventLoop) -> LoopReader:
    """The reader of a loop, which comes to be if there is none."""
    reader = _readers.get(loop)
    if reader is None:
        reader = _readers[loop] = LoopReader(loop)
        # A loop that is dropped without the nodes on it having been closed.
        weakref.finalize(loop, reader.mailbox.close)
    return reader


async def _read_on(loop: asyncio.AbstractEventLoop, mailbox: Mailbox[Any]) -> None:
    while True:
        await loop.sock_recv(mailbox.socket, WAKE_BYTES_MAX)
        mailbox.hand_out()
