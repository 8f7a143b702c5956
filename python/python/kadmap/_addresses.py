"""Host and port as users write them, and "host:port" as the extension takes them."""

from __future__ import annotations

import socket
from typing import Union
from collections.abc import Iterable

Address = Union[tuple[str, int], str]

DEFAULT_PORT = 8339
"""gevent_dht's port, which `kadmap run` takes too."""


def joined(host: str, port: int) -> str:
    """Host and port in one text."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def listen_address(host: str, port: int) -> str:
    """Where to listen; a host name that has an IPv4 address means that one.

    "localhost" is ::1 on some machines and 127.0.0.1 on others, and a node on ::1 cannot be reached by 127.0.0.1.
    """
    if not isinstance(host, str):
        raise TypeError(f"host is a str such as '127.0.0.1', not {host!r}")
    _check_port(port)
    if host == "":
        host = "0.0.0.0"
    try:
        found = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_DGRAM)
    except OSError:
        return joined(host, port)
    return joined(str(found[0][4][0]), port)


def seed_addresses(seeds: Iterable[Address]) -> list[str]:
    """Members of the swarm as (host, port) or "host:port"."""
    if isinstance(seeds, str):
        raise TypeError(f"seeds is a list: [{seeds!r}]")
    return [_seed(seed) for seed in seeds]


def _seed(seed: Address) -> str:
    if isinstance(seed, str):
        return seed if _has_port(seed) else joined(seed, DEFAULT_PORT)
    try:
        host, port = seed
        if not isinstance(host, str):
            raise TypeError(f"{host!r} is no host")
        return joined(host, _check_port(port))
    except (TypeError, ValueError) as error:
        raise TypeError(f"a seed is (host, port) or 'host:port', not {seed!r}: {error}") from None


def _has_port(text: str) -> bool:
    return ":" in text and (text.count(":") == 1 or "]:" in text)


def _check_port(port: object) -> int:
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"port is an int, not {port!r}")
    if not 0 <= port <= 65535:
        raise ValueError(f"port {port} is not between 0 and 65535")
    return port
