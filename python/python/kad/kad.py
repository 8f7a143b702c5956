"""kad.py's `DHT`."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Optional
from collections.abc import Callable

import kadmap
from kad.handler import DHTRequestHandler, HandlerGuard, Server
from kad.peer import Peer
from kad.storage import Shelve
from kadmap._keys import encode
from kadmap._log import logger

__all__ = ["DHT", "DHTRequestHandler", "Peer"]

Key = kadmap.Key

_SPACE = 2**256

_running: set[DHT] = set()
"""A program of kad.py's may drop its DHT, which runs on until the process ends."""


class DHT:
    """A node of a swarm, and the map that the swarm shares, as in kad.py.

    Differs for the better: answers in well under a millisecond instead of seconds, every key is found, falsy values are
    values, names that hash alike are kept apart, KeyError names the key, and nodes that are gone cost nothing.

    >>> with DHT("localhost", 0) as one, DHT("localhost", 0, seeds=[("localhost", one.peer.port)]) as two:
    ...     one["my_key"] = ["My", "json-serializable", "Object"]
    ...     two["my_key"]
    ['My', 'json-serializable', 'Object']

    Args:
        host: Where to listen.
        port: The UDP port.
        id: A number by which this node calls itself; without one (or 0) its proven id.
        seeds: Members of the swarm, `(host, port)`; this node's own address is passed over. `kadmap.JoinError` when there
            are others and none answers.
        storage: Anything with `__getitem__` and `__setitem__` that keeps the records.
        info: Anything JSON can carry, shown to others in `peers()`.
        hash_function: Where a key lives: returns str, bytes or int.
        requesthandler: A subclass of `DHTRequestHandler`.

    Raises:
        OSError: the port is taken.
    """

    def __init__(
        self,
        host: str,
        port: int,
        id: Optional[int] = None,
        seeds: Iterable[Any] = (),
        storage: Any = None,
        info: Any = None,
        hash_function: Optional[Callable[[Any], Any]] = None,
        requesthandler: type[DHTRequestHandler] = DHTRequestHandler,
    ) -> None:
        self.info = {} if info is None else info
        self._hash_function = hash_function
        self._known: dict[int, tuple[int, Any]] = {}
        self._node: Optional[kadmap.DHT] = None
        self.server = Server(self, (host, port))
        guard = HandlerGuard(self.server, requesthandler)
        self._node = kadmap.DHT(
            host,
            port,
            [seed for seed in map(_address, seeds) if not _is_own(seed, host, port)],
            storage=storage.data if isinstance(storage, Shelve) else storage,
            hash_function=self._place,
            id=id or None,
            info=self.info,
            guard=guard if guard.kinds else None,
        )
        self.server.server_address = self._node.address
        self.storage: Any = _Held(self) if storage is None else storage
        self.data = self.storage
        _running.add(self)

    @property
    def dht(self) -> kadmap.DHT:
        """The node itself, with all that kadmap can do beyond kad.py."""
        if self._node is None:
            raise kadmap.Stopped("the node has not been started")
        return self._node

    @property
    def peer(self) -> Peer:
        """This node."""
        return Peer(self.dht.host, self.dht.port, self.identity(), self.info)

    def hash_function(self, key: Key) -> int:
        """The place of a key; `dht[place]` finds what is stored there.

        >>> with DHT("localhost", 0) as dht:
        ...     dht["ciao"] = "mondo"
        ...     dht[dht.hash_function("ciao")]
        'mondo'
        """
        return self.dht.place(key)

    def identity(self) -> int:
        """The id of this node: the number it was given, else its proven id."""
        return self.dht.identity

    def __getitem__(self, key: Key) -> Any:
        """The value under a key; KeyError, which names the key, when there is none.

        What this node holds is found even when nobody else answers.
        An int is a place: what was stored under that int, or else under a name that lives at that place (the first in
        the order of names if there are several).
        """
        try:
            return self._read(key)
        except KeyError:
            pass
        try:
            return self._stored_by_hand(key)
        except KeyError:
            pass
        if isinstance(key, int):
            return self._at_place(key)
        raise KeyError(key)

    def __setitem__(self, key: Key, value: Any) -> None:
        """Stores a value under a key; TypeError, before anything travels, when JSON cannot carry it."""
        self.dht[key] = value

    def __delitem__(self, key: Key) -> None:
        """Removes a key; KeyError when there is nothing."""
        del self.dht[key]

    def __contains__(self, key: Key) -> bool:
        """Whether there is a value under a key, anywhere in the swarm."""
        try:
            self[key]
        except KeyError:
            return False
        return True

    def __iter__(self) -> Iterator[Key]:
        """Over the keys that this node holds."""
        return iter(self.dht)

    def __len__(self) -> int:
        """How many keys this node holds."""
        return len(self.dht)

    def get(self, key: Key, handler: Callable[[Any], object]) -> None:
        """Returns at once; a thread reads and calls the handler exactly once: with the value, or None when there is none.

        >>> from queue import Queue
        >>> with DHT("localhost", 0) as dht:
        ...     results = Queue()
        ...     dht.get("nothing", results.put)
        ...     results.get() is None
        True
        """
        threading.Thread(target=self.get_sync, args=(key, handler), name="kad.get").start()

    def get_sync(self, key: Key, handler: Callable[[Any], object]) -> None:
        """As `get`, on this thread."""
        value = None
        try:
            value = self[key]
        except KeyError:
            pass
        except Exception:
            logger.exception("get(%r) failed; the handler is called with None", key)
        handler(value)

    def peers(self) -> list[dict[str, Any]]:
        """The nodes that this node knows: dicts with host, port, id and info.

        >>> with DHT("localhost", 0, id=7, info="one") as one, DHT("localhost", 0, seeds=[one.peer.address()]) as two:
        ...     [(peer["id"], peer["info"]) for peer in two.peers()]
        [(7, 'one')]
        """
        told = self.dht.introductions()
        self._known = {int(each.peer.id, 16): (each.id, each.info) for each in told}
        return [{"host": each.peer.host, "port": each.peer.port, "id": each.id, "info": each.info} for each in told]

    def bootstrap(self, seeds: Iterable[Any] = ()) -> None:
        """Joins by further members; without any, looks around again."""
        addresses = [seed for seed in map(_address, seeds) if not _is_own(seed, self.dht.host, self.dht.port)]
        if addresses:
            self.dht.join(addresses)
        else:
            self.dht.lookup(self.dht.id)

    def iterative_find_nodes(self, key: Key, boot_peer: object = None) -> list[Peer]:
        """The nodes closest to a place (an int) or to the place of a key."""
        return [Peer(peer.host, peer.port, int(peer.id, 16), None) for peer in self.dht.lookup(key).closest]

    def iterative_find_value(self, key: Key) -> Any:
        """The value under a key, or None."""
        try:
            return self[key]
        except KeyError:
            return None

    def append(self, key: Key, item: Any) -> None:
        """Adds an item to the list under a key; of concurrent appends none is lost. Not in kad.py."""
        self.dht.append(key, item)

    def close(self) -> None:
        """Hands over and leaves. Not in kad.py, where a node runs until its process ends."""
        _running.discard(self)
        self.dht.close()

    def __enter__(self) -> DHT:
        return self

    def __exit__(
        self, kind: Optional[type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._node).replace("kadmap.DHT", "kad.DHT")

    def described(self, node_id: int) -> tuple[int, Any]:
        """The id and info that a node gave itself, as far as they are known here."""
        if self._node is not None and node_id == int(self._node.id, 16):
            return self.identity(), self.info
        return self._known.get(node_id, (node_id, None))

    def _place(self, key: Key) -> str | bytes | int:
        if isinstance(key, int):
            return key
        # The name itself, hashed by the swarm, is where kadmap places it.
        return encode(key) if self._hash_function is None else self._hash_function(key)

    def _read(self, key: Key) -> Any:
        try:
            return self.dht[key]
        except (kadmap.GetError, kadmap.OperationTimeout):
            reading = self.dht.read(key, consistency="one")
            if reading.found:
                return reading.value
            raise

    def _stored_by_hand(self, key: Key) -> Any:
        """What the program has put into its storage itself while the node runs."""
        storage = self.dht._storage
        if storage is None:
            raise KeyError(key)
        return storage.value(key)

    def _at_place(self, place: int) -> Any:
        wanted = place % _SPACE
        for names in (self.dht.names(), self.dht.names_at(wanted)):
            for name in sorted((name for name in names if self._lives_at(name, wanted)), key=encode):
                try:
                    return self.dht[name]
                except KeyError:
                    continue
        raise KeyError(place)

    def _lives_at(self, name: Key, place: int) -> bool:
        try:
            return self.dht.place(name) == place
        except Exception:
            # A name of another program's, for which this one's hash function was not made.
            return False


class _Held(Mapping[Key, Any]):
    """`dht.storage` where none was given: what this node holds, to read."""

    def __init__(self, dht: DHT) -> None:
        self._dht = dht

    def __getitem__(self, key: Key) -> Any:
        return self._dht[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._dht)

    def __len__(self) -> int:
        return len(self._dht)


def _address(seed: Any) -> tuple[str, int]:
    host, port = seed
    return host, port


def _is_own(seed: tuple[str, int], host: str, port: int) -> bool:
    """Whether a seed is this node itself: programs that give every node the same list."""
    if seed[1] != port or port == 0:
        return False
    return seed[0] == host or bool(_addresses(seed[0]) & _addresses(host))


def _addresses(host: str) -> set[str]:
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(host, None, socket.AF_INET)}
    except OSError:
        return {host}
