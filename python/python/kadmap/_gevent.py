"""Waiting on a thread with a gevent hub: other greenlets run meanwhile. Imported only where gevent is in use."""

from __future__ import annotations

import sys
import weakref
from typing import Any

from kadmap._call import Call
from kadmap._mailbox import Mailbox

_READ = 1
"""The event mask of libev and libuv for "readable"."""


class _HubReader:
    """The mailbox of one hub; its watcher runs only while somebody waits, so that an idle hub can end."""

    def __init__(self, hub: Any) -> None:
        self.mailbox: Mailbox[Any] = Mailbox(_wake)
        self._watcher = hub.loop.io(self.mailbox.socket.fileno(), _READ)
        self._watching = False

    def wait(self, hub: Any, call: Call[Any]) -> Any:
        # There is a hub, so its module is loaded; an import statement would make gevent a dependency of type checkers.
        waiter = sys.modules["gevent.hub"].Waiter(hub)
        token, operation = self.mailbox.start(call, waiter)
        self._watch(True)
        try:
            ok, result = waiter.get()
        except BaseException:
            # Killed, or a gevent.Timeout: nobody waits for the outcome.
            self.mailbox.abandon(token, operation)
            self._rest()
            raise
        if ok:
            return result
        raise result

    def _deliver(self) -> None:
        self.mailbox.deliver()
        self._rest()

    def _rest(self) -> None:
        if len(self.mailbox) == 0:
            self._watch(False)

    def _watch(self, wanted: bool) -> None:
        if wanted and not self._watching:
            self._watcher.start(self._deliver)
        elif self._watching and not wanted:
            self._watcher.stop()
        self._watching = wanted


def _wake(waiter: Any, ok: bool, result: Any) -> None:
    waiter.switch((ok, result))


_ATTRIBUTE = "_kadmap_reader"


def wait(hub: Any, call: Call[Any]) -> Any:
    """The raw result of a call, while the other greenlets of this thread go on."""
    reader = getattr(hub, _ATTRIBUTE, None)
    if reader is None:
        # On the hub itself: a table of hubs would keep them alive by their watchers.
        reader = _HubReader(hub)
        setattr(hub, _ATTRIBUTE, reader)
        weakref.finalize(hub, reader.mailbox.close)
    return reader.wait(hub, call)
