"""The three ways to share a map that are compared."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Optional

from measure import IN_FLIGHT, VALUE, Figures, Load, Stopwatch

import kadmap
from kadmap import aio
from kadmap._settings import Consistency
from kadmap.testing import swarm

Key = str


def blocking(nodes: int, load: Load) -> Figures:
    """`kadmap.DHT`: one call after the other, then 64 threads."""
    return of_threads(nodes, load, None)


def blocking_one(nodes: int, load: Load) -> Figures:
    """As `blocking`, with what `kademlia` promises: one replica's word is enough."""
    return of_threads(nodes, load, "one")


def of_threads(nodes: int, load: Load, consistency: Optional[Consistency]) -> Figures:
    """Nodes of one process, used by threads."""
    figures = Figures()
    with swarm(nodes, consistency=consistency) as dhts:
        writer, reader = dhts[0], dhts[-1]
        for key in keys("single", load.sequential):
            watch = Stopwatch()
            writer[key] = VALUE
            figures.put_s.append(watch.s())
        wanted = not_held(reader.names(), keys("single", load.sequential))
        for key in wanted:
            watch = Stopwatch()
            figures.lost += reader.get(key) != VALUE
            figures.get_s.append(watch.s())
        watch = Stopwatch()
        values = in_threads(repeated(wanted, load.gets), reader.get)
        figures.gets_per_s = len(values) / watch.s()
        figures.lost += load.gets - sum(value == VALUE for value in values)
        watch = Stopwatch()
        in_threads(keys("many", load.puts), lambda key: writer.set(key, VALUE))
        figures.puts_per_s = load.puts / watch.s()
    return figures


def in_threads(wanted: list[Key], work: Callable[[Key], Any]) -> list[Any]:
    """Does the work for all keys, in 64 threads."""
    results: list[Any] = []

    def part(first: int) -> None:
        results.extend([work(key) for key in wanted[first::IN_FLIGHT]])

    threads = [threading.Thread(target=part, args=(first,)) for first in range(IN_FLIGHT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def asynchronous(nodes: int, load: Load) -> Figures:
    """`kadmap.aio.DHT` on one loop."""
    return of_asyncio(nodes, load, None)


def asynchronous_one(nodes: int, load: Load) -> Figures:
    """As `asynchronous`, with what `kademlia` promises: one replica's word is enough."""
    return of_asyncio(nodes, load, "one")


def of_asyncio(nodes: int, load: Load, consistency: Optional[Consistency]) -> Figures:
    """A node on a loop, in a swarm of nodes of the same process."""

    async def main(seeds: list[kadmap.DHT]) -> Figures:
        async with aio.DHT("127.0.0.1", 0, [seeds[0].address], consistency=consistency) as dht:
            await settled(dht, nodes - 1)
            held = dht.names
            return await measured(dht.set, dht.get, held, load)

    with swarm(nodes - 1) as seeds:
        return asyncio.run(main(seeds))


async def settled(dht: aio.DHT, nodes: int) -> None:
    """Returns once the node knows as many others as it needs."""
    while (await dht.status()).contacts < min(nodes, 20):
        await asyncio.sleep(0.01)


def kademlia(nodes: int, load: Load) -> Figures:
    """`kademlia.network.Server`, all on one loop, as it is meant to be used."""
    # Not by import statements, as it has no types.
    Server: Any = importlib.import_module("kademlia.network").Server
    digest: Any = importlib.import_module("kademlia.utils").digest
    logging.getLogger("kademlia").setLevel(logging.CRITICAL)
    logging.getLogger("rpcudp").setLevel(logging.CRITICAL)

    async def main() -> Figures:
        # Its tasks fail by themselves when time is short; what counts is what its callers see.
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        servers = [Server() for _ in range(nodes)]
        ports = free_ports(nodes)
        for server, port in zip(servers, ports):
            await server.listen(port, "127.0.0.1")
        for server in servers[1:]:
            await server.bootstrap([("127.0.0.1", ports[0])])

        # Everybody knows everybody, as in the other swarm.
        for server in servers:
            await server.bootstrap([("127.0.0.1", port) for port in ports])
        writer, reader = servers[0], servers[-1]

        async def held() -> list[Key]:
            return [key for key in known if reader.storage.get(digest(key)) is not None]

        known = keys("single", load.sequential)
        try:
            return await measured(writer.set, reader.get, held, load)
        finally:
            for server in servers:
                server.stop()

    return asyncio.run(main())


async def measured(
    put: Callable[[Key, str], Awaitable[Any]],
    get: Callable[[Key], Awaitable[Any]],
    held: Callable[[], Awaitable[Iterable[Any]]],
    load: Load,
) -> Figures:
    """The same load for both asynchronous systems; puts in flight come last, as they make `kademlia` lose contacts."""
    figures = Figures()
    for key in keys("single", load.sequential):
        watch = Stopwatch()
        await put(key, VALUE)
        figures.put_s.append(watch.s())
    wanted = not_held(await held(), keys("single", load.sequential))
    for key in wanted:
        watch = Stopwatch()
        figures.lost += await get(key) != VALUE
        figures.get_s.append(watch.s())
    watch = Stopwatch()
    values = await in_flight(repeated(wanted, load.gets), get)
    figures.gets_per_s = len(values) / watch.s()
    figures.lost += load.gets - sum(value == VALUE for value in values)
    watch = Stopwatch()
    stored = await in_flight(keys("many", load.puts), lambda key: put(key, VALUE))
    figures.puts_per_s = len(stored) / watch.s()
    figures.lost += load.puts - len(stored)
    return figures


async def in_flight(wanted: list[Key], work: Callable[[Key], Awaitable[Any]]) -> list[Any]:
    """Does the work for all keys, 64 at a time; the results of those for which it succeeded."""
    left = iter(wanted)
    results: list[Any] = []

    async def worker() -> None:
        for key in left:
            try:
                results.append(await work(key))
            except Exception:
                continue

    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    return results


def keys(kind: str, count: int) -> list[Key]:
    return [f"{kind}/{number}" for number in range(count)]


def not_held(held: Iterable[Any], wanted: list[Key]) -> list[Key]:
    """Keys whose reading goes over the network."""
    own = set(held)
    return [key for key in wanted if key not in own]


def repeated(wanted: list[Key], count: int) -> list[Key]:
    """So many keys, the same ones again and again: nobody keeps what was read."""
    return list(itertools.islice(itertools.cycle(wanted), count))


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
