"""Waiting for an operation in the blocking form, as the calling thread can: natively, or letting greenlets run."""

from __future__ import annotations

import sys
import threading
from typing import Any, TypeVar
from collections.abc import Callable

from kadmap._call import Call
from kadmap._kadmap import Stopped
from kadmap._native import original

T = TypeVar("T")


class _Inside(threading.local):
    """Whether this thread is a node's, in the middle of a plug-in."""

    plugin: str = ""


_inside = _Inside()


class plugin_running:
    """While a plug-in runs on the node's thread, a blocking call there would wait for itself for ever."""

    __slots__ = ("_before", "_name")

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        self._before = _inside.plugin
        _inside.plugin = self._name

    def __exit__(self, *exc: object) -> None:
        _inside.plugin = self._before


def refuse_in_plugin() -> None:
    """RuntimeError in the middle of a plug-in."""
    if _inside.plugin:
        raise RuntimeError(
            f"a {_inside.plugin} runs on the node's own thread, which cannot wait for itself: "
            "make this call from another thread (threading.Thread(target=...).start())"
        )


def run(call: Call[T]) -> T:
    """The outcome of a call, when it is there."""
    if _inside.plugin:
        refuse_in_plugin()
    hub = _hub()
    try:
        if hub is None:
            return call.finish(call.method(*call.args, **call.options))
        from kadmap import _gevent

        return call.finish(_gevent.wait(hub, call))
    except Stopped:
        if _exiting and threading.current_thread() is not threading.main_thread():
            _stand_still()
        raise


_exiting = False


def interpreter_exits() -> None:
    """From now on daemon threads that wait for a node stand still, as they do in other calls, instead of raising."""
    global _exiting
    _exiting = True


def _stand_still() -> None:
    lock = original("_thread", "allocate_lock")()
    lock.acquire()
    lock.acquire()


def _hub() -> Any:
    """gevent's hub of this thread if there is one that other greenlets may be waiting on."""
    local = sys.modules.get("gevent._hub_local")
    if local is None:
        return None
    hub_if_exists: Callable[[], Any] = local.get_hub_if_exists
    hub = hub_if_exists()
    if hub is None or hub.dead:
        return None
    # The hub's own callbacks cannot wait in the hub.
    return None if sys.modules["greenlet"].getcurrent() is hub else hub
