"""The nodes open in this process: said goodbye when the interpreter exits, forgotten in a child after fork."""

from __future__ import annotations

import atexit
import os
import time
import weakref
from typing import Optional, Protocol

from kadmap._kadmap import KadmapError, Node
from kadmap._log import logger
from kadmap._storage import UserStorage
from kadmap._wait import interpreter_exits

EXIT_GRACE_S = 1.0
"""How long an exiting interpreter waits in all for nodes to hand over and say goodbye; most need milliseconds."""


class Opened(Protocol):
    """What is needed to close a node at exit."""

    @property
    def _node(self) -> Optional[Node]: ...
    @property
    def _storage(self) -> Optional[UserStorage]: ...


_opened: weakref.WeakSet[Opened] = weakref.WeakSet()


def remember(handle: Opened) -> None:
    """The node is open now."""
    _opened.add(handle)


def forget(handle: Opened) -> None:
    """The node is closed."""
    _opened.discard(handle)


@atexit.register
def _close_all() -> None:
    interpreter_exits()
    deadline = time.monotonic() + EXIT_GRACE_S
    handles = list(_opened)
    try:
        for handle in handles:
            remaining = deadline - time.monotonic()
            if handle._node is not None and remaining > 0:
                _leave(handle._node, remaining)
    finally:
        for handle in handles:
            _stop(handle)


def _leave(node: Node, grace_s: float) -> None:
    try:
        node.leave(grace_s)
    except KadmapError as error:
        logger.debug("goodbye at exit: %s", error)


def _stop(handle: Opened) -> None:
    if handle._node is not None:
        handle._node.stop()
    try:
        if handle._storage is not None:
            handle._storage.close()
    except Exception:
        logger.exception("the storage's could not be closed at exit")


if hasattr(os, "register_at_fork"):
    # The parent's nodes and its storage are the parent's to close.
    os.register_at_fork(after_in_child=_opened.clear)
