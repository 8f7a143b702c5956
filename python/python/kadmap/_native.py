"""The interpreter's own threads, locks and sockets, also where gevent has put others in their place.

Plug-ins run on the node's thread, in which no hub runs: a greenlet started there would never wake.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any


def original(module: str, name: str) -> Any:
    """What a module had under this name before gevent's monkey patching."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None:
        return monkey.get_original(module, name)
    return getattr(importlib.import_module(module), name)
