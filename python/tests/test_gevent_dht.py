"""The drop-in for gevent_dht: what its programs rely on, and what was wrong with it."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from ports import free_port

import gevent_dht
import kadmap
from gevent_dht import distributedHashTable


def table(first: Any = None) -> distributedHashTable:
    return distributedHashTable(first, 0, "127.0.0.1")


def address(of: distributedHashTable) -> str:
    return f"{of.dht.host}:{of.dht.port}"


@pytest.fixture
def two() -> Iterator[list[distributedHashTable]]:
    with table() as one, table(address(one)) as other:
        yield [one, other]


def test_arguments_stand_where_they_stood() -> None:
    signature = inspect.signature(gevent_dht.distributedHashTable)
    assert list(signature.parameters) == ["first_node", "local_port", "local_ip"]
    assert [parameter.default for parameter in signature.parameters.values()][1:] == [8339, ""]


@pytest.mark.parametrize("first", [None, ""])
def test_the_first_node_starts_a_network(first: Any) -> None:
    with table(first) as one:
        one["k"] = 1
        assert one["k"] == 1


def test_it_listens_on_all_addresses_by_default() -> None:
    with distributedHashTable(None, local_port=0) as one, table(f"127.0.0.1:{one.dht.port}") as other:
        one["k"] = 1
        assert other["k"] == 1


def test_a_missing_key_is_none(two: list[distributedHashTable]) -> None:
    assert two[1]["nothing"] is None
    assert "nothing" not in two[1]


def test_a_closed_table_raises() -> None:
    one = table()
    one.close()
    with pytest.raises(kadmap.Stopped):
        one["k"]


def test_append_makes_a_list(two: list[distributedHashTable]) -> None:
    two[0].append("list", 1)
    two[1].append("list", "two")
    assert sorted(two[0]["list"], key=str) == [1, "two"]


def test_appending_to_what_is_no_list_is_told_and_hurts_nothing(two: list[distributedHashTable]) -> None:
    two[0]["k"] = 1
    with pytest.raises(TypeError):
        two[1].append("k", 2)
    assert two[1]["k"] == 1


def test_concurrent_appends_are_not_lost(two: list[distributedHashTable]) -> None:
    def work(one: distributedHashTable, name: str) -> None:
        for number in range(100):
            one.append("list", [name, number])

    threads = [threading.Thread(target=work, args=(one, name)) for one, name in zip(two, "ab")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(two[0]["list"]) == len(two[1]["list"]) == 200


def test_every_node_finds_what_any_of_sixteen_holds() -> None:
    tables = [table()]
    for _ in range(15):
        tables.append(table(address(tables[-1])))
    for number, one in enumerate(tables):
        one[number] = [number]
    assert all(one[number] == [number] for one in tables for number in range(16))
    for one in tables:
        one.dht.stop()


@pytest.mark.parametrize("key", ["k", 1, -5, b"k", 1.5, None, True, ["a", 1], {"b": 1, "a": 2}], ids=repr)
def test_keys_are_what_json_can_carry(two: list[distributedHashTable], key: Any) -> None:
    two[0][key] = "value"
    assert two[1][key] == "value"
    assert list(two[1]) == [key]
    del two[1][key]
    assert two[0][key] is None


def test_other_keys_and_values_are_type_errors(two: list[distributedHashTable]) -> None:
    with pytest.raises(TypeError):
        two[0][{1, 2}] = 1
    with pytest.raises(TypeError):
        two[0]["k"] = {1, 2}


def test_iteration_ends(two: list[distributedHashTable]) -> None:
    two[0]["a"], two[0]["b"] = 1, 2
    assert sorted(two[0]) == ["a", "b"]
    assert len(two[0]) == 2


def test_a_first_node_that_is_not_there_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    original = kadmap.DHT

    def impatient(*arguments: Any) -> kadmap.DHT:
        return original(*arguments, join_timeout=0.2)

    monkeypatch.setattr(kadmap, "DHT", impatient)
    with pytest.raises(kadmap.JoinError):
        table(f"127.0.0.1:{free_port()}")
