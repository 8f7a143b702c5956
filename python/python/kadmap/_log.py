"""The logger of the package, for the Python and the Rust side alike: `logging.getLogger("kadmap")`."""

from __future__ import annotations

import atexit
import logging

from kadmap._kadmap import flush_log, set_log_level

logger = logging.getLogger("kadmap")

# What nodes said last would be cut off otherwise: it comes by a thread of its own.
atexit.register(flush_log)

_LEVEL_MAX = 255
"""The extension counts levels in a byte."""


def follow_level() -> None:
    """Has the nodes say as much as the logger lets through; what it would drop never reaches Python.

    Looked at when a node starts, so logging is to be set up before.
    """
    set_log_level(min(logger.getEffectiveLevel(), _LEVEL_MAX))
