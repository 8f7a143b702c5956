"""asyncio: the same map, with thousands of operations in flight."""

from __future__ import annotations

import asyncio
import gc
import os
import weakref
from pathlib import Path

import pytest
from ports import free_port

import kadmap
from kadmap import _loops, aio
from kadmap.testing import swarm


def test_thousands_of_operations_are_in_flight_on_one_loop() -> None:
    async def main() -> None:
        async with aio.DHT("127.0.0.1", 0) as one, aio.DHT("127.0.0.1", 0, [one.address]) as other:
            await asyncio.gather(*(one.set(number, [number]) for number in range(5000)))
            values = await asyncio.gather(*(other[number] for number in range(5000)))
            assert values == [[number] for number in range(5000)]
            await asyncio.gather(*(node.append("list", 1) for node in (one, other) for _ in range(1000)))
            assert len(await other["list"]) == 2000

    asyncio.run(main())


def test_the_names_are_those_of_the_blocking_form() -> None:
    own = {name for name in dir(kadmap.DHT) if not name.startswith("_")}
    beyond_one_key = {"keys", "values", "clear", "popitem"}
    assert own - {name for name in dir(aio.DHT) if not name.startswith("_")} == beyond_one_key


def test_each_method_does_what_the_blocking_one_does(dht: kadmap.DHT) -> None:
    async def main() -> None:
        async with aio.DHT("127.0.0.1", 0, [dht.address], id=7, info="x") as node:
            assert (await node.set("k", None)).acks
            assert await node["k"] is None
            assert await node.contains("k") and not await node.contains("nothing")
            assert await node.get("nothing", 5) == 5
            with pytest.raises(KeyError, match="nothing"):
                await node["nothing"]
            reading = await node.read("k")
            await node.put_if_version("k", 1, reading.version)
            with pytest.raises(kadmap.Conflict):
                await node.put_if_version("k", 2, reading.version)
            await node.put_field("map", "a", 1)
            await node.put_field("map", "b", 2)
            await node.delete_field("map", "a")
            assert dht["map"] == {"b": 2}
            assert await node.setdefault("k", 9) == 1
            assert await node.pop("k") == 1
            assert await node.pop("k", None) is None
            with pytest.raises(KeyError):
                await node.pop("k")
            await node.delete("map")
            await node.update({"a": 1, "b": 2})
            assert sorted(map(str, await node.names())) == ["a", "b"]
            assert sorted([str(key) async for key in node]) == ["a", "b"]
            assert sorted([str(key) async for key in node.scan()]) == ["a", "b"]
            assert [peer.id for peer in await node.peers()] == [dht.id]
            assert (await node.status()).contacts == 1
            assert (await node.lookup("a")).closest
            assert [told.id for told in await node.introductions()] == [dht.identity]
            assert [(told.id, told.info) for told in dht.introductions()] == [(7, "x")]
            with pytest.raises(TypeError, match="await dht.set"):
                node["k"] = 1
            with pytest.raises(TypeError, match="await dht.delete"):
                del node["k"]
            with pytest.raises(TypeError, match="await dht.contains"):
                "k" in node
            with pytest.raises(TypeError):
                await node.set("k", {1, 2})
        assert node.closed
        with pytest.raises(kadmap.Stopped):
            await node["a"]
        await node.close()

    asyncio.run(main())


def test_a_join_that_reaches_nobody_raises_and_the_loop_goes_on() -> None:
    async def main() -> int:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(tick())
        with pytest.raises(kadmap.JoinError):
            await aio.DHT("127.0.0.1", 0, [("127.0.0.1", free_port())], join_timeout=0.3)
        ticking.cancel()
        return ticks

    assert asyncio.run(main()) > 5


def test_cancelling_a_task_cancels_its_operation() -> None:
    with swarm(3) as nodes:

        async def main() -> None:
            async with aio.DHT("127.0.0.1", 0, [nodes[0].address], operation_timeout=60) as node:
                for other in nodes:
                    other.stop()
                # Of four replicas three are gone: "all" waits, until it is cancelled.
                tasks = [asyncio.create_task(node.set("k", 1, consistency="all")) for _ in range(100)]
                await asyncio.sleep(0)
                for task in tasks:
                    task.cancel()
                results = await asyncio.gather(*tasks, return_exceptions=True)
                assert all(
                    isinstance(result, (asyncio.CancelledError, kadmap.PutError)) or result for result in results
                )
                mailbox = _loops.reader_of(asyncio.get_running_loop()).mailbox
                assert len(mailbox) == 0
                with pytest.raises((asyncio.TimeoutError, TimeoutError)):
                    await asyncio.wait_for(asyncio.gather(*(never(node) for _ in range(3))), 0)
                assert len(mailbox) == 0

        async def never(node: aio.DHT) -> None:
            while True:
                await node.get("k")

        asyncio.run(main())


def test_closing_the_loop_leaves_nothing_behind() -> None:
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0

    async def main(close: bool) -> weakref.ref[object]:
        node = await aio.DHT("127.0.0.1", 0)
        await node.set("k", 1)
        if close:
            await node.close()
        return weakref.ref(asyncio.get_running_loop())

    asyncio.run(main(True))
    gc.collect()
    before = open_files()
    for close in (True, False) * 5:
        loop = asyncio.run(main(close))
        gc.collect()
        assert loop() is None
    assert open_files() <= before + 1
    assert not _loops._readers


def test_one_handle_serves_several_loops() -> None:
    node = asyncio.run(aio.DHT("127.0.0.1", 0).start())

    async def use(number: int) -> None:
        await node.set(number, number)
        assert await node[number] == number

    for number in range(3):
        asyncio.run(use(number))
    asyncio.run(node.close())


def test_a_loop_without_add_reader_is_served_by_a_task() -> None:
    class NoReaders(asyncio.SelectorEventLoop):
        """As on Windows, where the default loop has no add_reader."""

        def add_reader(self, *_: object) -> None:  # type: ignore[override]
            raise NotImplementedError

        async def sock_recv(self, sock, n):  # type: ignore[no-untyped-def]
            while True:
                try:
                    return sock.recv(n)
                except BlockingIOError:
                    await asyncio.sleep(0.001)

    async def main() -> None:
        async with aio.DHT("127.0.0.1", 0) as node:
            await asyncio.gather(*(node.set(number, number) for number in range(100)))
            assert await node[99] == 99

    loop = NoReaders()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


def test_an_unstarted_node_says_how_to_start_it() -> None:
    node = aio.DHT("127.0.0.1", 0)
    assert "not started" in repr(node)

    async def main() -> None:
        with pytest.raises(kadmap.Stopped, match="async with"):
            await node["k"]
        await node.close()

    asyncio.run(main())


def test_a_storage_is_restored_without_blocking_the_loop() -> None:
    storage = {str(number): number for number in range(200)}

    async def main() -> None:
        async with aio.DHT("127.0.0.1", 0, storage=storage) as node:
            assert await asyncio.gather(*(node[key] for key in storage)) == list(storage.values())

    asyncio.run(main())
