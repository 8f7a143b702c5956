"""A node as kad.py describes it."""

from __future__ import annotations

from typing import Any, NamedTuple


class Peer(NamedTuple):
    """Address, id and info of a node."""

    host: str
    port: int
    id: int
    info: Any

    def astriple(self) -> tuple[str, int, int]:
        """Host, port and id."""
        return self.host, self.port, self.id

    def asquad(self) -> tuple[str, int, int, Any]:
        """Host, port, id and info."""
        return self.host, self.port, self.id, self.info

    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port
