"""Threads and processes that share a map."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import kadmap
from kadmap.testing import swarm

WRITERS = 64
ITEMS = 10

APPENDER = """
import sys
import kadmap

port, first, writers, items = map(int, sys.argv[1:])
with kadmap.DHT("127.0.0.1", 0, [("127.0.0.1", port)]) as dht:
    print("ready")
    input()
    for number in range(items):
        dht.append("list", [first, number])
    print("done")
    input()
"""


def in_threads(count: int, work: Callable[[int], object]) -> None:
    """Runs work(0), work(1) ... at the same time and raises what any of them raised."""
    errors: list[BaseException] = []
    barrier = threading.Barrier(count)

    def one(number: int) -> None:
        try:
            barrier.wait()
            work(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def in_order_of_each_writer(items: list[list[int]]) -> bool:
    by_writer: dict[int, list[int]] = {}
    for writer, number in items:
        by_writer.setdefault(writer, []).append(number)
    return all(numbers == list(range(ITEMS)) for numbers in by_writer.values()) and len(by_writer) == WRITERS


def test_64_threads_append_to_one_list_without_loss() -> None:
    with swarm(4) as nodes:
        in_threads(
            WRITERS,
            lambda writer: [nodes[writer % 4].append("list", [writer, number]) for number in range(ITEMS)],
        )
        assert len(nodes[0]["list"]) == WRITERS * ITEMS
        assert in_order_of_each_writer(nodes[0]["list"])


def test_threads_and_processes_append_to_one_list_without_loss(program: Callable[..., Any]) -> None:
    processes = 8
    with swarm(2) as nodes:
        running = [program(APPENDER, nodes[0].port, number, processes, ITEMS) for number in range(processes)]
        assert [one.line() for one in running] == ["ready"] * processes
        for one in running:
            one.say("go")
        in_threads(
            WRITERS - processes,
            lambda writer: [nodes[writer % 2].append("list", [processes + writer, number]) for number in range(ITEMS)],
        )
        assert [one.line() for one in running] == ["done"] * processes
        assert len(nodes[1]["list"]) == WRITERS * ITEMS
        assert in_order_of_each_writer(nodes[1]["list"])
        for one in running:
            one.say("leave")
            one.finish()


def test_threads_share_one_handle() -> None:
    with swarm(2) as nodes:

        def work(thread: int) -> None:
            for number in range(50):
                nodes[0][f"{thread}/{number}"] = [thread, number]
                assert nodes[1][f"{thread}/{number}"] == [thread, number]

        in_threads(16, work)
        assert len(set(nodes[0].scan())) == 16 * 50


def test_only_one_of_many_wins_setdefault() -> None:
    with swarm(3) as nodes:
        winners: list[Any] = []
        in_threads(16, lambda thread: winners.append(nodes[thread % 3].setdefault("owner", thread)))
        assert winners.count(nodes[0]["owner"]) >= 1


def test_closing_while_others_wait_raises_in_them_and_hangs_nobody(dht: kadmap.DHT) -> None:
    started = threading.Event()
    outcome: list[BaseException] = []

    def read_on() -> None:
        try:
            while True:
                dht.get("k")
                started.set()
        except kadmap.Stopped as error:
            outcome.append(error)

    thread = threading.Thread(target=read_on)
    thread.start()
    started.wait()
    dht.close()
    thread.join()
    assert len(outcome) == 1
