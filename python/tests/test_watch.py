"""Watching a key: every change once, until the watch or the node is closed."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest

import kadmap
from kadmap import aio


def test_every_kind_of_change_is_told(pair: list[kadmap.DHT]) -> None:
    one, other = pair
    one["colour"] = "red"
    with other.watch("colour") as changes:
        one["colour"] = b"\xff"
        del one["colour"]
        one.append("colour", 1)
        one["colour"] = {}
        one.put_field("colour", "a", None)
        one.delete_field("colour", "a")
        told = [next(changes) for _ in range(7)]
    assert [(change.kind, change.value, change.found, change.field) for change in told] == [
        ("state", "red", True, None),
        ("put", b"\xff", True, None),
        ("deleted", None, False, None),
        ("appended", 1, True, None),
        ("put", {}, True, None),
        ("field_put", None, True, "a"),
        ("field_deleted", None, False, "a"),
    ]
    stamps = [change.stamp for change in told[1:]]
    assert None not in stamps and stamps == sorted(stamps, key=str)


def test_what_expires_is_told(dht: kadmap.DHT) -> None:
    with dht.watch("colour", initial=False) as changes:
        dht.set("colour", "red", ttl=0.2)
        assert [next(changes).kind, next(changes).kind] == ["put", "expired"]


def test_items_of_many_writers_are_told_once(pair: list[kadmap.DHT]) -> None:
    with pair[0].watch("list", initial=False, timeout=5) as changes:
        threads = [
            threading.Thread(target=lambda n=n: [pair[n % 2].append("list", [n, i]) for i in range(25)])
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        told = [next(changes).value for _ in range(200)]
        for thread in threads:
            thread.join()
        with pytest.raises(kadmap.OperationTimeout, match="no change within 0.05 s"):
            changes.next(timeout=0.05)
    assert sorted(told) == [[n, i] for n in range(8) for i in range(25)]


@pytest.mark.parametrize("what", ["watch", "node"])
def test_closing_the_watch_or_the_node_ends_the_iteration(dht: kadmap.DHT, what: str) -> None:
    watch = dht.watch("colour", initial=False)
    follower = threading.Thread(target=list, args=(watch,))
    follower.start()
    watch.close() if what == "watch" else dht.stop()
    follower.join(timeout=30)
    assert not follower.is_alive()
    assert list(watch) == []
    with pytest.raises(kadmap.Stopped):
        watch.next(timeout=1)
    watch.close()


def test_a_watch_that_cannot_begin_says_so(dht: kadmap.DHT) -> None:
    with pytest.raises(kadmap.GetError, match="name too long"):
        dht.watch("x" * 2000)
    with pytest.raises(ValueError, match="timeout"):
        dht.watch("x", timeout=-1)


INTERRUPTED = """
import kadmap

dht = kadmap.DHT("127.0.0.1", 0)
watch = dht.watch("colour", initial=False)
try:
    # From here on it may be interrupted.
    print("waiting")
    next(watch)
except KeyboardInterrupt:
    dht["colour"] = "red"
    print(next(watch).value)
"""


def test_ctrl_c_ends_the_wait_and_loses_no_change(program: Callable[..., Any]) -> None:
    running = program(INTERRUPTED)
    assert running.line() == "waiting"
    running.process.send_signal(signal.SIGINT)
    assert running.line() == "red"


GREENLETS = """
import gevent, kadmap

dht = kadmap.DHT("127.0.0.1", 0)
told = []

def follow():
    for change in dht.watch("list", initial=False):
        told.append(change.value)
        if len(told) == 10:
            return

follower = gevent.spawn(follow)
gevent.sleep(0.1)
gevent.joinall([gevent.spawn(dht.append, "list", n) for n in range(10)], raise_error=True)
follower.get(timeout=30)
print(sorted(told))
dht.close()
"""


def test_other_greenlets_run_meanwhile(program: Callable[..., Any]) -> None:
    pytest.importorskip("gevent")
    assert program(GREENLETS).line() == str(list(range(10)))


def test_a_loop_is_told_too(dht: kadmap.DHT) -> None:
    async def main() -> None:
        async with aio.DHT("127.0.0.1", 0, [dht.address]) as node:
            async with node.watch("list") as changes:
                writer = asyncio.gather(*(node.append("list", n) for n in range(100)))
                told = []
                async for change in changes:
                    if change.kind == "appended":
                        told.append(change.value)
                    if len(told) == 100:
                        break
                await writer
                assert sorted(told) == list(range(100))

    asyncio.run(main())


def test_cancelling_who_waits_loses_no_change(dht: kadmap.DHT) -> None:
    async def main() -> None:
        async with aio.DHT("127.0.0.1", 0, [dht.address]) as node:
            changes = node.watch("list", initial=False)
            with pytest.raises(kadmap.OperationTimeout):
                await changes.next(timeout=0.01)
            told = []
            for n in range(50):
                waiting = asyncio.ensure_future(changes.next())
                await asyncio.sleep(0)
                writing = asyncio.ensure_future(node.append("list", n))
                await asyncio.sleep(0.0005 * (n % 4))
                if waiting.cancel():
                    await asyncio.wait({waiting})
                told += [] if waiting.cancelled() else [(await waiting).value]
                await writing
            while len(told) < 50:
                told.append((await changes.next(timeout=10)).value)
            assert told == list(range(50))
            await changes.close()
            assert [change async for change in changes] == []

    asyncio.run(main())


def test_closing_the_node_ends_the_iteration_of_a_loop() -> None:
    async def main() -> None:
        node = await aio.DHT("127.0.0.1", 0)
        changes = node.watch("colour")
        assert (await changes.next()).kind == "state"
        waiting = asyncio.ensure_future(anext(changes, None))
        await asyncio.sleep(0)
        await node.close()
        assert await waiting is None

    asyncio.run(main())
