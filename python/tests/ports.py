"""Free ports, and ports of documents moved where they are taken."""

from __future__ import annotations

import re
import socket


def free_port() -> int:
    """A UDP port that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Whether a UDP port can be had, on all addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
        return True


def moved(source: str, ports: list[int]) -> str:
    """A program with those of its ports that are taken replaced by free ones."""
    for port in ports:
        if not is_free(port):
            source = re.sub(rf"\b{port}\b", str(free_port()), source)
    return source
