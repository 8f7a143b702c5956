"""Starting, joining, leaving, and what can go wrong with them."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
from ports import free_port

import kadmap
from kadmap.testing import swarm


def test_a_join_that_reaches_nobody_raises_and_says_whom_it_tried() -> None:
    port = free_port()
    with pytest.raises(kadmap.JoinError) as caught:
        kadmap.DHT("127.0.0.1", 0, seeds=[("127.0.0.1", port)], join_timeout=0.3)
    assert [address for address, _ in caught.value.attempts] == [f"127.0.0.1:{port}"]


def test_one_seed_that_answers_is_enough(dht: kadmap.DHT) -> None:
    with kadmap.DHT("127.0.0.1", 0, seeds=[("127.0.0.1", free_port()), dht.address]) as other:
        other["k"] = 1
        assert dht["k"] == 1


@pytest.mark.parametrize("form", ["pair", "text", "list"])
def test_seeds_are_pairs_or_text(dht: kadmap.DHT, form: str) -> None:
    host, port = dht.address
    seeds: dict[str, Any] = {"pair": (host, port), "text": f"{host}:{port}", "list": [host, port]}
    with kadmap.DHT("127.0.0.1", 0, seeds=[seeds[form]]) as other:
        assert len(other.peers()) == 1


@pytest.mark.parametrize("seeds", ["127.0.0.1:1", [5], [("host",)], [("host", "1")], [(1, 2)]], ids=repr)
def test_seeds_of_another_form_are_refused(seeds: Any) -> None:
    with pytest.raises(TypeError, match="seed"):
        kadmap.DHT("127.0.0.1", 0, seeds=seeds)


def test_a_taken_port_is_an_os_error(dht: kadmap.DHT) -> None:
    with pytest.raises(kadmap.ListenError) as caught:
        kadmap.DHT("127.0.0.1", dht.port)
    assert isinstance(caught.value, OSError)
    assert caught.value.errno == errno.EADDRINUSE


@pytest.mark.parametrize(
    "settings",
    [
        {"replication": 0},
        {"replication": 65},
        {"secret": "short"},
        {"consistency": "most"},
        {"storage": {}, "data_dir": "x"},
        {"port": 65536},
    ],
    ids=repr,
)
def test_a_setting_out_of_range_is_a_value_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        kadmap.DHT("127.0.0.1", **{"port": 0, **settings})


@pytest.mark.parametrize(
    "settings",
    [{"port": "3000"}, {"host": 5}, {"id": "x"}, {"id": True}, {"storage": 5}, {"hash_function": 5}, {"info": {1, 2}}],
    ids=repr,
)
def test_a_setting_of_the_wrong_type_is_a_type_error(settings: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        kadmap.DHT(**{"host": "127.0.0.1", "port": 0, **settings})


def test_localhost_is_an_address_that_others_reach_by_number() -> None:
    with kadmap.DHT("localhost", 0) as one, kadmap.DHT("127.0.0.1", 0, [("localhost", one.port)]) as other:
        one["k"] = 1
        assert other["k"] == 1


def test_without_the_secret_there_is_nothing_to_see() -> None:
    with swarm(2, secret="correct horse battery staple") as nodes:
        nodes[0]["k"] = 1
        assert nodes[1]["k"] == 1
        for secret in (None, "another horse battery staple"):
            with pytest.raises(kadmap.JoinError):
                kadmap.DHT("127.0.0.1", 0, [nodes[0].address], secret=secret, join_timeout=2)


def test_a_data_folder_survives_a_restart(tmp_path: Path) -> None:
    with kadmap.DHT("127.0.0.1", 0, data_dir=tmp_path / "data", durability="synced") as dht:
        dht["k"] = [2**70]
        dht.append("k", b"\0")
        node_id = dht.id
    with kadmap.DHT("127.0.0.1", 0, data_dir=tmp_path / "data") as dht:
        assert dht["k"] == [2**70, b"\0"]
        assert dht.id == node_id


def test_a_scrub_interval_is_seconds(tmp_path: Path) -> None:
    for seconds in (0, 0.5):
        with kadmap.DHT("127.0.0.1", 0, data_dir=tmp_path / "data", scrub_interval=seconds) as dht:
            dht["k"] = 1
            assert dht["k"] == 1
    with pytest.raises(ValueError, match="scrub_interval is -1"):
        kadmap.DHT("127.0.0.1", 0, data_dir=tmp_path / "data", scrub_interval=-1)


def test_a_closed_node_says_so(dht: kadmap.DHT) -> None:
    dht.close()
    assert dht.closed
    dht.close()
    dht.stop()
    for attempt in (lambda: dht["k"], lambda: dht.set("k", 1), dht.names, dht.peers, lambda: list(dht.scan())):
        with pytest.raises(kadmap.Stopped):
            attempt()


def test_who_leaves_hands_over() -> None:
    with swarm(4, replication=1) as nodes:
        for number in range(50):
            nodes[0][number] = number
        for node in nodes[1:]:
            node.close()
        assert [nodes[0][number] for number in range(50)] == list(range(50))


def test_who_is_gone_costs_nothing_but_its_copies() -> None:
    with swarm(6) as nodes:
        for number in range(50):
            nodes[0][number] = number
        nodes[1].stop()
        nodes[2].stop()
        assert [nodes[3][number] for number in range(50)] == list(range(50))


def test_a_client_uses_the_swarm_and_holds_nothing(pair: list[kadmap.DHT]) -> None:
    with kadmap.DHT("127.0.0.1", 0, [pair[0].address], client=True) as client:
        client["k"] = 1
        assert pair[1]["k"] == 1
        assert client["k"] == 1
        assert client.names() == []


def test_what_was_acknowledged_is_read_although_packets_get_lost() -> None:
    with swarm(3, packet_loss=0.1) as nodes:
        for number in range(50):
            nodes[number % 3].append("list", number)
            assert sorted(nodes[(number + 1) % 3]["list"]) == list(range(number + 1))


def test_a_running_node_joins_by_another_address() -> None:
    with swarm(1) as (one,), swarm(1) as (other,):
        one["one"], other["other"] = 1, 2
        one.join([other.address])
        assert one["other"] == 2
        with pytest.raises(kadmap.JoinError):
            one.join([("127.0.0.1", free_port())], timeout=0.3)


def test_two_nodes_with_equal_names_at_a_place_are_listed(dht: kadmap.DHT) -> None:
    with kadmap.DHT("127.0.0.1", 0, hash_function=lambda key: str(key)[:2]) as one:
        one["my_key"], one["my_kitten"], one["other"] = 1, 2, 3
        assert sorted(map(str, one.names_at(one.place("my_key")))) == ["my_key", "my_kitten"]
