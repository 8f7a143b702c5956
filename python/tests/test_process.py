"""A node and its process: Ctrl-C, exit, fork, logs, memory."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import pytest
from ports import free_port

import kadmap

Start = Callable[..., Any]

CTRL_C = """
import sys
import kadmap

try:
    print("waiting")
    kadmap.DHT("127.0.0.1", 0, [("127.0.0.1", int(sys.argv[1]))], join_timeout=10_000)
except KeyboardInterrupt:
    print("interrupted")
"""

CTRL_C_IN_GET = """
import os, signal, threading
import kadmap

dht = kadmap.DHT("127.0.0.1", 0)
reads = 0
def interrupt():
    while reads < 100:
        pass
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    while True:
        dht.get("k")
        reads += 1
except KeyboardInterrupt:
    print("interrupted", dht.get("k", "and usable"))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_ends_a_blocking_call(program: Start) -> None:
    running = program(CTRL_C, free_port())
    assert running.line() == "waiting"
    running.process.send_signal(signal.SIGINT)
    assert running.line().startswith("interrupted")
    running.finish()


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_a_node_is_usable_after_ctrl_c(program: Start) -> None:
    assert program(CTRL_C_IN_GET).finish()[0] == "interrupted and usable\n"


EXITS = {
    "a node that is open": "dht = kadmap.DHT('127.0.0.1', 0); dht['k'] = 1",
    "a swarm that is open": "from kadmap.testing import swarm; s = swarm(8); nodes = s.__enter__(); nodes[0]['k'] = 1",
    "a thread in the middle of a call": """
import threading
dht = kadmap.DHT("127.0.0.1", 0)
started = threading.Event()
def work():
    while True:
        dht["k"] = 1
        started.set()
threading.Thread(target=work, daemon=True).start()
started.wait()
""",
    "a reference cycle": "dht = kadmap.DHT('127.0.0.1', 0); cycle = [dht]; cycle.append(cycle); del dht, cycle",
    "an exception": """
import atexit, os
dht = kadmap.DHT("127.0.0.1", 0)
sys.excepthook = lambda *_: None
atexit.register(lambda: None)
try:
    raise ValueError
except ValueError:
    pass
""",
    "plug-ins": """
class Guard:
    kinds = ["store", "ping", "find"]
    def message(self, kind, message): return message
one = kadmap.DHT("127.0.0.1", 0, storage={}, guard=Guard())
two = kadmap.DHT("127.0.0.1", 0, [one.address], storage={}, guard=Guard(), hash_function=len)
for number in range(100): two[str(number)] = number
""",
    "an asyncio loop that is gone": """
import asyncio
from kadmap import aio
async def main():
    dht = await aio.DHT("127.0.0.1", 0)
    await dht.set("k", 1)
    asyncio.create_task(dht.set("k", 2))
asyncio.run(main())
""",
    "a dropped kad.DHT": "import kad; kad.DHT('localhost', 0)['k'] = 1",
    "logging at every level": """
import logging
logging.basicConfig(level=1, stream=sys.stdout)
one = kadmap.DHT("127.0.0.1", 0)
two = kadmap.DHT("127.0.0.1", 0, [one.address])
one["k"] = 1
""",
}


@pytest.mark.parametrize("source", EXITS.values(), ids=EXITS.keys())
def test_an_interpreter_exits_quietly_with(program: Start, source: str) -> None:
    _, err = program(f"import sys, kadmap\n{source}\n").finish()
    assert err == ""


def test_sys_exit_keeps_its_code(program: Start) -> None:
    running = program("import sys, kadmap\ndht = kadmap.DHT('127.0.0.1', 0)\nsys.exit(3)\n")
    assert running.process.wait(timeout=30) == 3


FORKED = """
import os, sys
import kadmap

dht = kadmap.DHT("127.0.0.1", 0, storage={})
dht["k"] = 1
child = os.fork()
if child == 0:
    try:
        dht["k"]
    except kadmap.ForkedError as error:
        assert isinstance(error, kadmap.Stopped)
        print("child:", error)
    with kadmap.DHT("127.0.0.1", 0) as own:
        own["k"] = 2
        print("child:", own["k"])
    sys.exit(0)
_, status = os.waitpid(child, 0)
print("parent:", dht["k"], status)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_is_told_and_may_start_its_own(program: Start) -> None:
    lines = program(FORKED).finish()[0].splitlines()
    assert lines[0].startswith("child: ")
    assert "fork" in lines[0]
    assert lines[1:] == ["child: 2", "parent: 1 0"]


MULTIPROCESSING = """
import multiprocessing, sys
import kadmap

def work(port, number):
    with kadmap.DHT("127.0.0.1", 0, [("127.0.0.1", port)]) as dht:
        dht.append("list", number)

if __name__ == "__main__":
    dht = kadmap.DHT("127.0.0.1", 0)
    context = multiprocessing.get_context(sys.argv[1])
    processes = [context.Process(target=work, args=(dht.port, number)) for number in range(4)]
    for process in processes: process.start()
    for process in processes: process.join()
    print(sorted(dht["list"]), [process.exitcode for process in processes])
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing_works_by_any_method(program: Start, method: str) -> None:
    assert program(MULTIPROCESSING, method).finish()[0] == "[0, 1, 2, 3] [0, 0, 0, 0]\n"


GROWTH = """
import resource
import kadmap
from kadmap.testing import swarm

def round(number):
    for one in range(1000):
        nodes[0][one % 100] = [number, one]
        assert nodes[1][one % 100] == [number, one]
        nodes[1].get("nothing")

def memory():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

with swarm(2) as nodes:
    for number in range(3):
        round(number)
    before = memory()
    for number in range(10):
        round(number)
    print(memory() - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads /proc")
def test_ten_thousand_operations_do_not_grow_memory(program: Start) -> None:
    assert int(program(GROWTH).finish()[0]) < 8 * 1024 * 1024


def test_logs_go_to_logging(program: Start) -> None:
    source = """
import logging, sys
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(name)s %(levelname)s %(message)s")
import kadmap
with kadmap.DHT("127.0.0.1", 0): pass
"""
    out, _ = program(source).finish()
    assert "kadmap" in out
    assert "INFO" in out
    assert "no secret" in out


def test_without_a_set_up_only_warnings_are_seen(program: Start) -> None:
    assert program("import kadmap\nwith kadmap.DHT('127.0.0.1', 0): pass\n").finish() == ("", "")


def test_the_command_line_is_there(program: Start, dht: kadmap.DHT) -> None:
    dht["colour"] = "red"
    run = "import runpy, sys\nrunpy.run_module('kadmap', run_name='__main__', alter_sys=True)\n"
    out, _ = program(run, "get", "colour", "--node", f"127.0.0.1:{dht.port}").finish()
    assert out == '"red"\n'
    missing = program(run, "get", "nothing", "--node", f"127.0.0.1:{dht.port}")
    assert missing.process.wait(timeout=30) == 1
