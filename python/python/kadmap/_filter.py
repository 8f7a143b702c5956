"""What arrives at a node, shown to a plug-in of the user's before it counts."""

from __future__ import annotations

from typing import Any, Optional, Protocol
from collections.abc import Collection

from kadmap import _values
from kadmap._wait import plugin_running

KINDS = ("ping", "pong", "find", "found_nodes", "found_value", "store")
"""The kinds of messages that a guard can ask for."""


class Guard(Protocol):
    """A plug-in that sees, may change and may veto what arrives; `kad.DHTRequestHandler` is built on it.

    It runs on the node's thread, so it has to be quick and cannot call the DHT itself.
    """

    @property
    def kinds(self) -> Collection[str]:
        """The kinds it wants to see; the others never reach Python."""

    def message(self, kind: str, message: dict[str, Any]) -> Optional[dict[str, Any]]:
        """The message, changed or not; None keeps it from the node.

        It has `message_type`, `id` (the place), `value`, `peer_id`, `peer_addr`, `rpc_id`, and for "store" the
        `operation`: "put", "append", "delete" and so on.
        An exception is logged and vetoes this one message.
        """


class Filter:
    """A guard as the extension calls it: with values in their travelling form."""

    def __init__(self, guard: Guard) -> None:
        kinds = frozenset(guard.kinds)
        unknown = sorted(kinds.difference(KINDS))
        if unknown:
            raise ValueError(f"a guard cannot see {', '.join(unknown)}: choose from {', '.join(KINDS)}")
        self.kinds = kinds
        self._guard = guard

    def message(self, kind: str, message: dict[str, Any]) -> Optional[dict[str, Any]]:
        """Called on the node's thread for each message of one of the kinds."""
        pair = message.get("value")
        shown = None if pair is None else _values.decode(pair)
        # Written out before the plug-in can change what is inside.
        before = None if pair is None else _values.encode_mixed(shown)
        with plugin_running(f"guard ({kind})"):
            kept = self._guard.message(kind, {**message, "value": shown})
        if kept is None:
            return None
        after = kept.get("value")
        if pair is None and after is None:
            return kept
        encoded = _values.encode_mixed(after)
        # Untouched values stay as they came, digit for digit, so that all replicas hold the same.
        return {**kept, "value": pair if encoded == before else encoded}
