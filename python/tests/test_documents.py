"""The code blocks of kad.py's and gevent_dht's documents run as printed, each in a fresh process."""

from __future__ import annotations

import shelve
from collections.abc import Callable
from pathlib import Path
from typing import Any

from documents import gevent_dht_block, kad_blocks
from ports import is_free, free_port, moved

Start = Callable[..., Any]

WAIT_FOR_DISK = """
import pathlib, shutil, tempfile, time

def on_disk():
    with tempfile.TemporaryDirectory() as copy:
        for path in pathlib.Path().glob("sto.dat*"):
            shutil.copy(path, copy)
        with shelve.open(f"{copy}/sto.dat") as shelf:
            return "colour" in shelf

while not on_disk():
    time.sleep(0.01)
"""


def test_a_two_node_dht(program: Start) -> None:
    block = moved(kad_blocks()["A two-node DHT"], [3000, 3001])
    out, err = program(block).finish()
    assert out == "['My', 'json-serializable', 'Object']\n" * 2
    assert err == ""


def test_persistent_storage_survives_a_restart_of_the_process(program: Start, tmp_path: Path) -> None:
    block = moved(kad_blocks()["Persistent storage"], [3000])
    assert program(block).finish() == ("", "")
    program(block + "\ndht['colour'] = ['red', 2**70]\ndht['gone'] = 1\ndel dht['gone']\n").finish()
    out, _ = program(block + "\nprint(dht['colour'], list(dht), 'gone' in dht)\n").finish()
    assert out == f"['red', {2**70}] ['colour'] False\n"
    with shelve.open(str(tmp_path / "sto.dat")) as shelf:
        assert dict(shelf) == {"colour": ["red", 2**70]}


def test_persistent_storage_survives_a_kill(program: Start) -> None:
    block = moved(kad_blocks()["Persistent storage"], [3000])
    running = program(block + "\ndht['colour'] = 'red'\n" + WAIT_FOR_DISK + "print('synced')\ninput()\n")
    assert running.line() == "synced"
    running.kill()
    out, _ = program(block + "\nprint(dht['colour'])\n").finish()
    assert out == "red\n"


def test_a_custom_hash_function_keeps_names_apart(program: Start) -> None:
    block = moved(kad_blocks()["Custom hash function"], [3000])
    more = "\ndht['my_key'] = 1\ndht['my_kitten'] = 2\nprint(dht['my_key'], dht['my_kitten'], sorted(dht))\n"
    assert program(block + more).finish() == ("1 2 ['my_key', 'my_kitten']\n", "")


def test_the_custom_request_handler_prints_the_stored_value(program: Start) -> None:
    block = moved(kad_blocks()["Custom request handler"], [3030])
    assert program(block).finish() == ("{'hola': 12}\n", "")
    assert program(block + "\nprint(d['ciao'])\n").finish()[0] == "{'hola': 12}\n{'hola': 12}\n"


def test_iterating_prints_the_users_keys_and_values(program: Start) -> None:
    block = moved(kad_blocks()["Iterate over DHT keys"], [3100])
    out, err = program(block).finish()
    assert sorted(out.splitlines()) == ["ciao mondo", "hello world"]
    assert err == ""


def test_every_block_of_the_kad_document_has_a_test() -> None:
    assert set(kad_blocks()) == {
        "A two-node DHT",
        "Persistent storage",
        "Custom hash function",
        "Custom request handler",
        "Iterate over DHT keys",
    }


def test_the_gevent_dht_document(program: Start) -> None:
    port = 8339 if is_free(8339) else free_port()
    block = moved(gevent_dht_block(f"127.0.0.1:{port}"), [8449])
    if port != 8339:
        block = block.replace("distributedHashTable(None)", f"distributedHashTable(None, local_port={port})")
    out, err = program(block).finish()
    assert out.split() == ["1", "2", "3", "1", "2", "3", "4"]
    assert err == ""


def test_the_gevent_dht_document_under_gevent(program: Start) -> None:
    port, other = free_port(), free_port()
    block = gevent_dht_block(f"127.0.0.1:{port}").replace("8449", str(other))
    block = block.replace("distributedHashTable(None)", f"distributedHashTable(None, local_port={port})")
    patch = "from gevent import monkey\nmonkey.patch_all()\n"
    assert program(patch + block).finish()[0].split() == ["1", "2", "3", "1", "2", "3", "4"]
