"""gevent, monkey-patched or not: a blocking call lets other greenlets run. Each program in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ports import free_port

pytest.importorskip("gevent")

PATCHED = "from gevent import monkey; monkey.patch_all()\n"
PLAIN = ""

TICKS_WHILE_WAITING = """
import gevent, kadmap, sys

ticks = 0
def tick():
    global ticks
    while True:
        ticks += 1
        gevent.sleep(0.001)

ticker = gevent.spawn(tick)
try:
    kadmap.DHT("127.0.0.1", 0, [("127.0.0.1", int(sys.argv[1]))], join_timeout=0.5)
except kadmap.JoinError:
    print("ticks" if ticks > 50 else f"stood still: {ticks}")
"""

MANY_GREENLETS = """
import gevent, kadmap

one = kadmap.DHT("127.0.0.1", 0)
other = kadmap.DHT("127.0.0.1", 0, [one.address])

def work(number):
    one[number] = [number]
    other.append("list", number)
    return other[number]

jobs = [gevent.spawn(work, number) for number in range(500)]
gevent.joinall(jobs, raise_error=True)
assert [job.value for job in jobs] == [[number] for number in range(500)]
assert sorted(one["list"]) == list(range(500))
assert len(set(one.scan())) == 501
one.close()
other.close()
print("done")
"""

KILLED = """
import gevent, kadmap

dht = kadmap.DHT("127.0.0.1", 0)
other = kadmap.DHT("127.0.0.1", 0, [dht.address], operation_timeout=60)
dht.stop()

def wait():
    while True:
        other.set("k", 1, consistency="all")
        gevent.sleep(0)

greenlet = gevent.spawn(wait)
gevent.sleep(0.05)
greenlet.kill()
assert greenlet.dead
try:
    with gevent.Timeout(0.05):
        while True:
            other.get("k")
except gevent.Timeout:
    pass
print(other.get("nothing", "default"))
"""

THREADS = """
import threading, kadmap, gevent

dht = kadmap.DHT("127.0.0.1", 0)
gevent.sleep(0)

def work(number):
    dht[number] = number
    assert dht[number] == number

threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
for thread in threads: thread.start()
for thread in threads: thread.join()
pool = gevent.get_hub().threadpool
assert pool.apply(lambda: dht[3]) == 3
print(len(dht))
"""

HUB_CALLBACK = """
import gevent, kadmap

dht = kadmap.DHT("127.0.0.1", 0)
results = []
gevent.get_hub().loop.run_callback(lambda: results.append(dht.get("k", 5)))
gevent.sleep(0.01)
print(results)
"""

PLUGINS = """
import gevent, kadmap, shelve

class Guard:
    kinds = ["store"]
    seen = 0
    def message(self, kind, message):
        Guard.seen += 1
        return message

with shelve.open("shelf") as shelf:
    dht = kadmap.DHT("127.0.0.1", 0, storage=shelf, guard=Guard())
    gevent.joinall([gevent.spawn(dht.set, str(number), number) for number in range(50)], raise_error=True)
    dht.close()
    print(len(shelf), Guard.seen)
"""

IDLE_HUB = """
import gevent, kadmap
dht = kadmap.DHT("127.0.0.1", 0)
gevent.spawn(dht.set, "k", 1)
gevent.wait()
print(dht["k"])
"""


@pytest.fixture(params=[PLAIN, PATCHED], ids=["plain", "patched"])
def gevent_program(request: pytest.FixtureRequest, program: Callable[..., Any]) -> Callable[..., Any]:
    return lambda source, *arguments: program(request.param + source, *arguments).finish()


def test_other_greenlets_run_while_one_waits(gevent_program: Callable[..., Any]) -> None:
    assert gevent_program(TICKS_WHILE_WAITING, free_port()) == ("ticks\n", "")


@pytest.mark.parametrize(
    ("source", "printed"),
    [
        (MANY_GREENLETS, "done\n"),
        (KILLED, "default\n"),
        (THREADS, "20\n"),
        (HUB_CALLBACK, "[5]\n"),
        (PLUGINS, "50 50\n"),
        (IDLE_HUB, "1\n"),
    ],
    ids=["many greenlets", "killed", "threads", "hub callback", "plug-ins", "idle hub"],
)
def test_greenlets_share_the_map(gevent_program: Callable[..., Any], source: str, printed: str) -> None:
    assert gevent_program(source) == (printed, "")


def test_without_gevent_nothing_imports_it(program: Callable[..., Any]) -> None:
    source = """
import sys
sys.modules["gevent"] = None  # an import of it would raise
import gevent_dht, kad, kadmap
table = gevent_dht.distributedHashTable(None, local_port=0)
table["k"] = 1
print(table["k"], "greenlet" in sys.modules)
"""
    assert program(source).finish() == ("1 False\n", "")
