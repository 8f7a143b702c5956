"""The drop-in for kad.py: what its programs rely on, and what was wrong with it."""

from __future__ import annotations

import inspect
import logging
import queue
from collections.abc import Iterator
from typing import Any

import pytest
from ports import free_port

import kad as kad_package
import kadmap
from kad import DHT, DHTRequestHandler, hashing


@pytest.fixture
def lone() -> Iterator[DHT]:
    with DHT("localhost", 0) as dht:
        yield dht


@pytest.fixture
def two() -> Iterator[list[DHT]]:
    with DHT("localhost", 0) as one, DHT("localhost", 0, seeds=[one.peer.address()]) as other:
        yield [one, other]


def test_the_star_import_binds_both_names() -> None:
    names: dict[str, Any] = {}
    exec("from kad import *", names)
    assert names["DHT"] is DHT
    assert names["kad"].DHTRequestHandler is DHTRequestHandler
    assert kad_package.DHTRequestHandler is DHTRequestHandler


def test_arguments_stand_where_they_stood() -> None:
    parameters = list(inspect.signature(DHT).parameters)
    assert parameters == ["host", "port", "id", "seeds", "storage", "info", "hash_function", "requesthandler"]
    storage: dict[Any, Any] = {}
    dht = DHT("localhost", 0, 7, [], storage, {"a": 1}, hashing.hash_function, DHTRequestHandler)
    dht["k"] = 1
    assert (dht.identity(), dht.storage, dht.info) == (7, {"k": 1}, {"a": 1})
    assert dht.storage is dht.data is storage
    dht.close()


def test_nodes_of_one_process_do_not_share_a_dict() -> None:
    with DHT("localhost", 0) as one, DHT("localhost", 0) as other:
        one["k"] = 1
        assert list(other) == []
        assert list(one.storage) == ["k"]
        assert one.storage["k"] == 1


def test_a_missing_key_is_a_key_error_that_names_it(two: list[DHT]) -> None:
    for dht in two:
        with pytest.raises(KeyError) as caught:
            dht["nothing"]
        assert caught.value.args == ("nothing",)


@pytest.mark.parametrize("value", [0, "", [], {}, False, None], ids=repr)
def test_falsy_values_are_values(two: list[DHT], value: Any) -> None:
    two[0]["k"] = value
    assert two[1]["k"] == value
    assert "k" in two[1]


def test_what_json_cannot_carry_is_refused_also_by_a_lone_node(lone: DHT) -> None:
    with pytest.raises(TypeError):
        lone["k"] = {1, 2}
    assert "k" not in lone


def test_large_values_and_other_alphabets_travel(two: list[DHT]) -> None:
    two[0]["ключ"] = "x" * 500_000
    assert two[1]["ключ"] == "x" * 500_000


def test_a_handler_is_called_exactly_once(two: list[DHT]) -> None:
    two[0]["k"] = [1]
    calls: queue.Queue[Any] = queue.Queue()
    two[1].get("k", calls.put)
    assert calls.get() == [1]
    two[1].get("nothing", calls.put)
    assert calls.get() is None
    two[1].get_sync("k", calls.put)
    assert calls.get() == [1]
    assert calls.empty()


def test_a_handler_is_called_with_none_when_reading_fails(lone: DHT, caplog: pytest.LogCaptureFixture) -> None:
    lone.close()
    calls: queue.Queue[Any] = queue.Queue()
    lone.get("k", calls.put)
    assert calls.get() is None
    assert "get('k')" in caplog.text


def test_peers_are_dicts_with_the_id_and_info_they_were_given() -> None:
    with (
        DHT("localhost", 0, id=12345, info={"name": "one"}) as one,
        DHT("localhost", 0, seeds=[one.peer.address()]) as two,
    ):
        assert two.peers() == [{"host": "127.0.0.1", "port": one.peer.port, "id": 12345, "info": {"name": "one"}}]
        (told,) = one.peers()
        assert told["id"] == two.identity() == int(two.dht.id, 16)
        assert told["info"] == {}
        assert one.peer.asquad() == ("127.0.0.1", one.peer.port, 12345, {"name": "one"})
        assert one.peer.astriple() == one.peer.asquad()[:3]


def test_an_id_of_zero_is_none(lone: DHT) -> None:
    with DHT("localhost", 0, 0) as dht:
        assert dht.identity() == int(dht.dht.id, 16)


def test_an_int_is_a_place(two: list[DHT]) -> None:
    one, other = two
    one["ciao"] = "mondo"
    assert other[other.hash_function("ciao")] == "mondo"
    one[5] = "five"
    assert other[5] == "five"
    assert sorted(map(str, other)) == ["5", "ciao"]
    with pytest.raises(KeyError) as caught:
        other[6]
    assert caught.value.args == (6,)


def test_a_place_that_several_names_share_gives_the_first() -> None:
    with DHT("localhost", 0, hash_function=lambda key: key[0:4]) as dht:
        dht["my_kitten"], dht["my_key"] = 2, 1
        assert (dht["my_key"], dht["my_kitten"]) == (1, 2)
        assert dht[dht.hash_function("my_key")] == 1
        assert sorted(dht) == ["my_key", "my_kitten"]


def test_kad_pys_own_hash_function_may_be_passed_on() -> None:
    with DHT("localhost", 0, hash_function=hashing.hash_function) as dht:
        dht["ciao"] = "mondo"
        assert dht[hashing.hash_function("ciao")] == "mondo"


def test_names_are_where_kadmap_looks_for_them(lone: DHT) -> None:
    lone["k"] = 1
    with kadmap.DHT("127.0.0.1", 0, [lone.peer.address()]) as dht:
        assert dht["k"] == 1
        dht["other"] = 2
        assert lone["other"] == 2


def test_a_local_value_is_found_when_all_others_are_gone() -> None:
    with DHT("localhost", 0) as one:
        others = [kadmap.DHT("127.0.0.1", 0, [one.peer.address()]) for _ in range(4)]
        one.dht.set("k", 1, consistency="all")
        for other in others:
            other.stop()
        assert one["k"] == 1


def test_what_a_program_puts_into_its_storage_is_found() -> None:
    storage: dict[Any, Any] = {"before": 1}
    with DHT("localhost", 0, storage=storage) as dht:
        storage["after"] = 2
        assert (dht["before"], dht["after"]) == (1, 2)


def test_a_taken_port_is_an_os_error(lone: DHT) -> None:
    with pytest.raises(OSError):
        DHT("localhost", lone.peer.port)


def test_seeds_may_name_the_node_itself() -> None:
    port = free_port()
    with DHT("localhost", port, seeds=[("127.0.0.1", port)]) as dht:
        dht["k"] = 1
        assert dht["k"] == 1


def test_seeds_that_are_all_dead_raise() -> None:
    with pytest.raises(kadmap.JoinError):
        kad_package.kad.kadmap.DHT("localhost", 0, [("localhost", free_port())], join_timeout=0.2)


def test_bootstrap_joins_later(lone: DHT) -> None:
    with DHT("localhost", 0) as other:
        other["k"] = 1
        lone.bootstrap([other.peer.address()])
        assert lone["k"] == 1
        lone.bootstrap()


def test_iterative_finds(two: list[DHT]) -> None:
    two[0]["k"] = 1
    assert two[1].iterative_find_value("k") == 1
    assert two[1].iterative_find_value("nothing") is None
    assert two[0].peer.address() in {peer.address() for peer in two[1].iterative_find_nodes(5)}


def test_deleting_and_counting(lone: DHT) -> None:
    lone["k"] = 1
    lone.append("list", 1)
    assert len(lone) == 2
    del lone["k"]
    with pytest.raises(KeyError):
        del lone["k"]
    assert list(lone) == ["list"]


def test_peers_once_each_however_they_were_named() -> None:
    with DHT("localhost", 0) as one:
        port = one.peer.port
        with DHT("127.0.0.1", 0, seeds=[("localhost", port), ("127.0.0.1", port)]) as other:
            other["k"] = 1
            assert len(one.peers()) == len(other.peers()) == 1


class Recording(DHTRequestHandler):
    """Sees everything."""

    seen: list[tuple[str, dict[str, Any], Any]]

    def note(self, hook: str, message: dict[str, Any]) -> None:
        self.seen.append((hook, message, self.client_address))

    def handle_ping(self, message: dict[str, Any]) -> None:
        self.note("ping", message)
        super().handle_ping(message)

    def handle_pong(self, message: dict[str, Any]) -> None:
        self.note("pong", message)
        super().handle_pong(message)

    def handle_find(self, message: dict[str, Any], find_value: bool = False) -> None:
        self.note("find_value" if find_value else "find_node", message)
        super().handle_find(message, find_value)

    def handle_found_nodes(self, message: dict[str, Any]) -> None:
        self.note("found_nodes", message)
        super().handle_found_nodes(message)

    def handle_found_value(self, message: dict[str, Any]) -> None:
        self.note("found_value", message)
        super().handle_found_value(message)

    def handle_store(self, message: dict[str, Any]) -> None:
        self.note("store", message)
        super().handle_store(message)


def handler(**hooks: Any) -> type[DHTRequestHandler]:
    """A handler class with these hooks."""
    return type("Handler", (DHTRequestHandler,), hooks)


def test_every_hook_sees_its_messages() -> None:
    class Mine(Recording):
        seen = []

    class Yours(Recording):
        seen = []

    with DHT("localhost", 0, requesthandler=Mine) as one:
        with DHT("localhost", 0, seeds=[one.peer.address()], info={"a": 1}, requesthandler=Yours) as other:
            other["k"] = [1]
            # One replica of two is enough, unless all are asked for.
            assert one.dht.get("k", consistency="all") == other.dht.get("k", consistency="all") == [1]
            one.dht.lookup("k")
            other.dht.lookup("k")
            one.peers()
            other_id = other.identity()
    hooks = {hook for hook, _, _ in Mine.seen + Yours.seen}
    assert {"store", "find_node", "find_value", "found_nodes"} <= hooks
    for hook, message, client_address in Mine.seen + Yours.seen:
        assert set(message) >= {"message_type", "id", "value", "peer_id", "peer_info", "rpc_id"}
        assert message["message_type"] == hook
        assert isinstance(client_address, tuple)
    stores = [message for hook, message, _ in Mine.seen if hook == "store"]
    assert {message["value"][0] for message in stores} == {1}
    assert other_id in {message["peer_id"] for message in stores}
    assert {message["name"] for message in stores} == {"k"}


def test_a_hook_changes_what_counts() -> None:
    def shout(self: Any, message: dict[str, Any]) -> None:
        message["value"] = message["value"].upper()
        DHTRequestHandler.handle_store(self, message)

    with DHT("localhost", 0, requesthandler=handler(handle_store=shout)) as dht:
        dht["k"] = "quiet"
        assert dht["k"] == "QUIET"


def test_a_hook_may_pass_on_a_message_of_its_own() -> None:
    def replace(self: Any, message: dict[str, Any]) -> None:
        DHTRequestHandler.handle_store(self, {**message, "value": {"wrapped": message["value"]}})

    with DHT("localhost", 0, requesthandler=handler(handle_store=replace)) as dht:
        dht["k"] = 1
        assert dht["k"] == {"wrapped": 1}


def test_a_hook_that_does_not_call_super_vetoes() -> None:
    def choose(self: Any, message: dict[str, Any]) -> None:
        if message["value"] != "spam":
            DHTRequestHandler.handle_store(self, message)

    with DHT("localhost", 0, requesthandler=handler(handle_store=choose)) as dht:
        with pytest.raises(kadmap.PutError):
            dht["k"] = "spam"
        dht["k"] = "ham"
        assert dht["k"] == "ham"


def test_an_exception_in_a_hook_vetoes_one_message_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fail(self: Any, message: dict[str, Any]) -> None:
        if message["value"] == "bad":
            raise RuntimeError("not this one")
        DHTRequestHandler.handle_store(self, message)

    with DHT("localhost", 0, requesthandler=handler(handle_store=fail)) as dht:
        with pytest.raises(kadmap.PutError):
            dht["k"] = "bad"
        dht["k"] = "good"
        assert dht["k"] == "good"
    (record,) = [record for record in caplog.records if record.exc_info]
    assert "not this one" in logging.Formatter().format(record)


def test_a_handler_knows_its_server_request_and_client() -> None:
    seen: list[Any] = []

    def look(self: Any, message: dict[str, Any]) -> None:
        text, socket = self.request
        with pytest.raises(OSError):
            socket.sendto(b"", self.client_address)
        seen.append((self.server.dht, self.client_address, text, len(self.request)))
        DHTRequestHandler.handle_store(self, message)

    with DHT("localhost", 0, requesthandler=handler(handle_store=look)) as dht:
        dht["k"] = 1
        ((server_dht, client_address, text, length),) = seen
        assert server_dht is dht
        assert client_address == dht.peer.address()
        assert b'"message_type": "store"' in text
        assert length == 2


def test_a_handler_may_override_handle_itself() -> None:
    seen: list[str] = []

    def handle(self: Any) -> None:
        seen.append(self.request.message["message_type"])
        DHTRequestHandler.handle(self)

    with DHT("localhost", 0, requesthandler=handler(handle=handle)) as dht:
        dht["k"] = 1
        assert dht["k"] == 1
    assert "store" in seen


def test_a_find_hook_without_the_second_argument_works() -> None:
    seen: list[str] = []

    def find(self: Any, message: dict[str, Any]) -> None:
        seen.append(message["message_type"])
        DHTRequestHandler.handle_find(self, message)

    with DHT("localhost", 0, requesthandler=handler(handle_find=find)) as one:
        with DHT("localhost", 0, seeds=[one.peer.address()]) as other:
            other["k"] = 1
            assert other["k"] == 1
            other.dht.lookup("k")
    assert "find_node" in seen


def test_a_handler_that_overrides_nothing_costs_nothing() -> None:
    from kad.handler import kinds_of

    assert kinds_of(DHTRequestHandler) == frozenset()
    assert kinds_of(handler(handle_store=lambda self, message: None)) == {"store"}


def test_a_hook_that_calls_the_dht_is_told_instead_of_hanging(caplog: pytest.LogCaptureFixture) -> None:
    def call(self: Any, message: dict[str, Any]) -> None:
        self.server.dht["other"]

    with DHT("localhost", 0, requesthandler=handler(handle_store=call)) as dht:
        with pytest.raises(kadmap.PutError):
            dht["k"] = 1
    assert "another thread" in caplog.text


def test_bytes_pass_through_a_handler_untouched() -> None:
    class Mine(Recording):
        seen = []

    with DHT("localhost", 0, requesthandler=Mine) as dht:
        dht["k"] = b"\xff"
        dht.append("list", b"\0")
        dht.append("list", {"a": 2**70})
        assert dht["k"] == b"\xff"
        assert dht["list"] == [b"\0", {"a": 2**70}]
    assert [
        (message["operation"], message["value"]) for _, message, _ in Mine.seen if message["message_type"] == "store"
    ] == [
        ("put", b"\xff"),
        ("append", b"\0"),
        ("append", {"a": 2**70}),
    ]


def test_the_shelf_class_is_there(tmp_path: Any) -> None:
    for expected in (0, 1):
        shelf = kad_package.storage.Shelve(str(tmp_path / "shelf"))
        with DHT("localhost", 0, storage=shelf) as dht:
            assert dht.dht.get("k", 0) == expected
            dht["k"] = 1
        assert shelf.dump() == {"k": 1}
        shelf.close()
