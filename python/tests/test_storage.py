"""Storage plug-ins: the user finds plain values, a restarted node finds its records."""

from __future__ import annotations

import dbm.dumb
import logging
import pickle
import shelve
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kadmap
from kadmap._shelf import state_of, with_state
from kadmap._storage import key_of, text_of
from kadmap.testing import swarm


def lone(**settings: Any) -> kadmap.DHT:
    return kadmap.DHT("127.0.0.1", 0, **settings)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "shelf")


def test_a_shelf_holds_keys_and_plain_values(path: str) -> None:
    with shelve.open(path) as shelf, lone(storage=shelf) as dht:
        dht["colour"] = ["red", 2**70, None]
        dht["raw"] = b"\0"
        dht.append("list", 1)
        dht.append("list", b"\1")
        dht.put_field("map", "a", 1)
        dht["gone"] = 1
        del dht["gone"]
    with shelve.open(path) as shelf:
        assert dict(shelf) == {
            "colour": ["red", 2**70, None],
            "raw": b"\0",
            "list": [1, b"\1"],
            "map": {"a": 1},
        }


def test_a_node_restarted_on_a_shelf_has_its_records_back(path: str) -> None:
    keys: list[kadmap.Key] = ["", "ü", "\0", "\0i5", "\ud800", b"", b"\xff", 0, -(2**200)]
    with shelve.open(path) as shelf, lone(storage=shelf) as dht:
        for number, key in enumerate(keys):
            dht[key] = number
    with shelve.open(path) as shelf, lone(storage=shelf) as dht:
        assert [dht[key] for key in keys] == list(range(len(keys)))
        assert set(dht.names()) == set(keys)
        assert len(shelf) == len(keys)


def test_lists_are_not_doubled_by_a_restart(path: str) -> None:
    with lone() as other:
        for round in range(3):
            with shelve.open(path) as shelf, lone(storage=shelf, seeds=[other.address]) as dht:
                dht.append("list", round)
                other.append("list", -round - 1)
                expected = sorted([*range(round + 1), *range(-round - 1, 0)])
                assert sorted(dht.get("list", consistency="all")) == expected
        assert len(other["list"]) == 6


def test_appends_made_elsewhere_meanwhile_are_merged(path: str) -> None:
    with lone() as other:
        with shelve.open(path) as shelf, lone(storage=shelf, seeds=[other.address]) as dht:
            dht.append("list", 1)
        other.append("list", 2)
        with shelve.open(path) as shelf, lone(storage=shelf, seeds=[other.address]) as dht:
            # A node that was away learns what it missed within a second.
            while dht["list"] != [1, 2]:
                pass


def test_what_was_deleted_meanwhile_does_not_come_back(path: str) -> None:
    with lone() as other:
        with shelve.open(path) as shelf, lone(storage=shelf, seeds=[other.address]) as dht:
            dht["k"] = 1
        del other["k"]
        with shelve.open(path) as shelf, lone(storage=shelf, seeds=[other.address]) as dht:
            while "k" in dht:
                pass
            while "k" in shelf:
                pass
            assert "k" not in other


def test_values_that_the_user_wrote_are_shared(path: str) -> None:
    with shelve.open(path) as shelf:
        shelf["by hand"] = {"a": [1]}
        shelf["known"] = "old"
        shelf["deleted"] = 1
        shelf["not json"] = {1, 2}
    with lone() as other:
        other["known"] = "new"
        other["deleted"] = 1
        del other["deleted"]
        with shelve.open(path) as shelf, lone(storage=shelf, seeds=[other.address]) as dht:
            assert other["by hand"] == {"a": [1]}
            assert dht["known"] == "new"
            assert "deleted" not in dht
            assert "deleted" not in shelf
            assert shelf["not json"] == {1, 2}
            assert "not json" not in dht


def test_a_value_that_the_user_wrote_over_ours_is_taken(path: str) -> None:
    with shelve.open(path) as shelf, lone(storage=shelf) as dht:
        dht["k"] = 1
    with shelve.open(path) as shelf:
        shelf["k"] = 2
    with shelve.open(path) as shelf, lone(storage=shelf) as dht:
        assert dht["k"] == 2


def test_a_shelf_with_writeback_keeps_what_the_node_wrote(path: str) -> None:
    with shelve.open(path, writeback=True) as shelf, lone(storage=shelf) as dht:
        dht["k"] = [1]
        assert shelf["k"] == [1]
        dht["k"] = [2]
        shelf.sync()
        assert shelf["k"] == [2]
    with shelve.open(path) as shelf:
        assert shelf["k"] == [2]


def test_another_hash_function_moves_the_records(path: str) -> None:
    with shelve.open(path) as shelf, lone(storage=shelf, hash_function=lambda key: key[:1]) as dht:
        dht["colour"] = "red"
    with shelve.open(path) as shelf, lone(storage=shelf) as dht:
        assert dht["colour"] == "red"


def test_a_damaged_entry_is_reported_and_left_alone(path: str, caplog: pytest.LogCaptureFixture) -> None:
    with shelve.open(path) as shelf:
        shelf.dict[b"damaged"] = b"no pickle"  # type: ignore[attr-defined]
        shelf.dict[b"\xff"] = b"no text"  # type: ignore[attr-defined]
        shelf["good"] = 1
    with shelve.open(path) as shelf, lone(storage=shelf) as dht:
        assert dht.names() == ["good"]
    assert "damaged" in caplog.text


def test_a_shelf_closed_before_its_node_does_not_hurt_it(path: str, caplog: pytest.LogCaptureFixture) -> None:
    shelf = shelve.Shelf(dbm.dumb.open(path, "c"))
    with lone(storage=shelf) as dht:
        dht["k"] = 1
        shelf.close()
        with pytest.raises(kadmap.PutError):
            dht["k"] = 2
        assert dht["k"] == 1
    assert "closed" in caplog.text


@pytest.mark.parametrize("module", [dbm.dumb])
def test_any_dbm_will_do(path: str, module: Any) -> None:
    for expected in (0, 1):
        with shelve.Shelf(module.open(path, "c")) as shelf, lone(storage=shelf) as dht:
            assert dht.get("k", 0) == expected
            dht["k"] = 1


def test_a_shelf_over_sqlite_is_written_from_the_nodes_thread(path: str) -> None:
    sqlite = pytest.importorskip("dbm.sqlite3")
    for expected in (0, 1):
        with shelve.Shelf(sqlite.open(path, "c")) as shelf, lone(storage=shelf) as dht:
            assert dht.get("k", 0) == expected
            dht["k"] = 1
            dht["gone"] = 1
            del dht["gone"]
            assert dict(shelf) == {"k": 1}


def test_a_dict_holds_the_users_own_keys() -> None:
    storage: dict[Any, Any] = {"there": 1, (1, 2): 3}
    with lone(storage=storage) as dht:
        dht[b"b"], dht[1] = 2, [3]
        assert dht["there"] == 1
        assert storage == {"there": 1, b"b": 2, 1: [3], (1, 2): 3}
        del dht["there"]
        assert "there" not in storage
    with lone(storage=storage) as dht:
        assert (dht[b"b"], dht[1]) == (2, [3])


class Minimal:
    """No more than kad.py's document asks for."""

    def __init__(self) -> None:
        self.content: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        return self.content[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.content[key] = value


def test_an_object_with_two_methods_is_written_through() -> None:
    storage = Minimal()
    with lone(storage=storage) as dht:
        dht["k"], dht[5], dht[b"\xff"], dht["gone"] = 1, 2, 3, 4
        del dht["gone"]
        assert storage.content == {"k": 1, "\0i5": 2, "\0b\xff": 3, "gone": None}


class Iterable(Minimal):
    """One that can be walked through and synced."""

    synced = 0

    def __iter__(self) -> Iterator[str]:
        return iter(self.content)

    def sync(self) -> None:
        self.synced += 1


def test_an_object_that_can_be_walked_through_has_its_records_back() -> None:
    storage = Iterable()
    with lone(storage=storage) as dht:
        dht["k"], dht[5], dht["gone"] = 1, 2, 3
        del dht["gone"]
    assert storage.synced > 0
    with lone(storage=storage) as dht:
        assert (dht["k"], dht[5], dht.get("gone")) == (1, 2, None)


def test_syncs_are_batched() -> None:
    storage = Iterable()
    with lone(storage=storage) as dht:
        for number in range(1000):
            dht["k"] = number
    assert 0 < storage.synced < 100


class Failing(dict[Any, Any]):
    """One that refuses some keys."""

    def __setitem__(self, key: Any, value: Any) -> None:
        if key == "bad":
            raise RuntimeError("the disk is on fire")
        super().__setitem__(key, value)


def test_an_exception_in_the_storage_fails_one_put_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with lone(storage=Failing()) as dht:
        dht["good"] = 1
        with pytest.raises(kadmap.PutError):
            dht["bad"] = 1
        assert dht.get("bad") is None
        assert dht["good"] == 1
        dht["better"] = 2
        assert dht["better"] == 2
    records = [record for record in caplog.records if record.exc_info and record.name == "kadmap"]
    assert records and "the disk is on fire" in logging.Formatter().format(records[0])
    assert "__setitem__" in logging.Formatter().format(records[0])


def test_others_keep_what_one_storage_refuses() -> None:
    with lone() as one, lone(seeds=[one.address]) as two, lone(seeds=[one.address], storage=Failing()) as three:
        result = one.set("bad", 1)
        assert three.id not in result.acks
        assert two["bad"] == three["bad"] == 1


class Unreadable(dict[Any, Any]):
    def keys(self) -> Any:
        raise RuntimeError("the disk is gone")


def test_a_storage_that_cannot_be_read_at_the_start_is_an_error() -> None:
    with pytest.raises(Exception, match="the disk is gone"):
        lone(storage=Unreadable())


def test_a_blocking_call_in_a_storage_is_refused_instead_of_hanging() -> None:
    class Calling(dict[Any, Any]):
        error: Any = None

        def __setitem__(self, key: Any, value: Any) -> None:
            try:
                dht.get("k")
            except RuntimeError as error:
                self.error = error
            super().__setitem__(key, value)

    storage = Calling()
    with lone(storage=storage) as dht:
        dht["k"] = 1
        assert "another thread" in str(storage.error)


def test_each_node_of_a_swarm_has_its_own(tmp_path: Path) -> None:
    storages: list[dict[Any, Any]] = [{}, {}, {}]
    with swarm(3, storage=lambda number: storages[number]) as nodes:
        nodes[0].set("k", [1], consistency="all")
        assert storages == [{"k": [1]}] * 3


def test_values_that_expire_disappear_from_the_storage() -> None:
    storage: dict[Any, Any] = {}
    with lone(storage=storage) as dht:
        dht.set("brief", 1, ttl=0.05)
        dht["k"] = 1
        while "brief" in storage:
            dht.get("k")
        assert storage == {"k": 1}


any_key = st.one_of(st.text(alphabet=st.characters(exclude_categories=[])), st.binary(), st.integers())


@given(any_key, any_key)
def test_texts_of_distinct_keys_are_distinct_and_lead_back(one: kadmap.Key, other: kadmap.Key) -> None:
    assert key_of(text_of(one)) == one
    assert type(key_of(text_of(one))) is type(one)
    text_of(one).encode()
    assert (text_of(one) == text_of(other)) is (type(one) is type(other) and one == other)


@given(st.binary(), st.integers(0, 2**256 - 1), st.binary())
def test_state_behind_a_pickle_is_found_again(value: bytes, place: int, blob: bytes) -> None:
    entry = with_state(pickle.dumps(value), place, blob)
    assert state_of(entry) == (place, blob)
    assert pickle.loads(entry) == value
    assert state_of(pickle.dumps(value)) is None
