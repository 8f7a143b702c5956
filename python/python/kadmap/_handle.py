"""What the blocking and the asyncio handle have in common."""

from __future__ import annotations

from typing import Optional

from kadmap import _open_nodes
from kadmap._core import Core
from kadmap._kadmap import Node, Stopped
from kadmap._keys import Key
from kadmap._settings import Settings
from kadmap._storage import UserStorage
from kadmap._wait import refuse_in_plugin

JOIN_TIMEOUT_S = 10.0
"""How long `join` tries at most."""
LEAVE_TIMEOUT_S = 5.0
"""How long `close` hands records over at most."""


class Handle:
    """A node's id, address and life."""

    _settings: Settings
    _core_or_none: Optional[Core] = None

    @property
    def _core(self) -> Core:
        if self._core_or_none is None:
            raise Stopped("the node has not been started: use 'async with DHT(...)' or 'await DHT(...)'")
        return self._core_or_none

    @property
    def _node(self) -> Optional[Node]:
        return None if self._core_or_none is None else self._core_or_none.node

    @property
    def _storage(self) -> Optional[UserStorage]:
        return self._settings.storage

    @property
    def id(self) -> str:
        """The id that the node proves to others, in hexadecimal: the hash of its public key.

        >>> len(dht.id)
        64
        """
        return self._core.node.id.hex()

    @property
    def identity(self) -> int:
        """The `id` that the node was made with, else its proven id, as a number.

        >>> dht.identity == int(dht.id, 16)
        True
        """
        if self._settings.id is not None:
            return self._settings.id
        return int.from_bytes(self._core.node.id, "big")

    @property
    def info(self) -> object:
        """The `info` that the node was made with, which others see by `introductions()`."""
        return self._settings.info

    @property
    def host(self) -> str:
        """The address it listens on.

        >>> dht.host
        '127.0.0.1'
        """
        return self._core.node.host

    @property
    def port(self) -> int:
        """The port it listens on; never 0."""
        return self._core.node.port

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, as `seeds` of another node takes them.

        >>> with kadmap.DHT("127.0.0.1", 0, seeds=[dht.address]) as other:
        ...     other["k"] = 1
        >>> dht["k"]
        1
        """
        return self.host, self.port

    @property
    def closed(self) -> bool:
        """Whether it has left or been stopped.

        >>> dht.closed
        False
        """
        return self._core_or_none is not None and self._core_or_none.node.closed

    def place(self, key: Key) -> int:
        """Where a key lives in the 256-bit space: the nodes whose ids are closest to this number hold it.

        >>> dht.place("colour") == dht.place("colour") < 2**256
        True
        """
        return self._core.place_as_int(key)

    def stop(self) -> None:
        """Stops at once, without handing anything over or saying goodbye: as if the machine had gone.

        For tests; `close` is the polite way. Stopping twice is no error.
        """
        refuse_in_plugin()
        _open_nodes.forget(self)
        if self._core_or_none is not None:
            self._core_or_none.node.stop()
        if self._storage is not None:
            self._storage.close()

    def _opened(self, node: Node) -> Core:
        self._core_or_none = Core(node, self._settings)
        _open_nodes.remember(self)
        return self._core_or_none

    def _describe(self, name: str) -> str:
        core = self._core_or_none
        if core is None:
            return f"<{name} not started>"
        state = ", closed" if core.node.closed else ""
        return f"<{name} {core.node.host}:{core.node.port} id {core.node.id.hex()[:16]}{state}>"
