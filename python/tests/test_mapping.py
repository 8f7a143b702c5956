"""The map: one key in the whole swarm, many keys of this node's."""

from __future__ import annotations

from collections.abc import MutableMapping

import pytest

import kadmap
from kadmap.testing import swarm


def test_it_is_a_mutable_mapping(dht: kadmap.DHT) -> None:
    assert isinstance(dht, MutableMapping)
    dht.update({"a": 1}, b=2)
    assert sorted(dht) == sorted(dht.keys()) == ["a", "b"]
    assert sorted(dht.items()) == [("a", 1), ("b", 2)]
    assert sorted(dht.values()) == [1, 2]
    assert len(dht) == 2
    assert dht.pop("a") == 1
    assert dht.popitem() == ("b", 2)
    with pytest.raises(KeyError):
        dht.popitem()
    dht["c"] = 3
    dht.clear()
    assert len(dht) == 0


@pytest.mark.parametrize("key", ["nothing", b"nothing", 404])
def test_a_key_error_names_the_key(dht: kadmap.DHT, key: kadmap.Key) -> None:
    for attempt in (dht.__getitem__, dht.__delitem__, dht.pop):
        with pytest.raises(KeyError) as caught:
            attempt(key)
        assert caught.value.args == (key,)
    assert dht.get(key) is None
    assert dht.get(key, 5) == 5
    assert dht.pop(key, 6) == 6
    assert key not in dht


def test_what_one_node_writes_every_node_reads(four: list[kadmap.DHT]) -> None:
    for number, node in enumerate(four):
        node[f"from {number}"] = number
    for node in four:
        assert [node[f"from {number}"] for number in range(4)] == [0, 1, 2, 3]
        assert {f"from {number}" for number in range(4)} <= set(node.scan())


def test_the_later_put_wins_wherever_it_is_made(four: list[kadmap.DHT]) -> None:
    for number in range(40):
        four[number % 4]["latest"] = number
        assert four[(number + 1) % 4]["latest"] == number


def test_a_deleted_key_is_gone_everywhere(four: list[kadmap.DHT]) -> None:
    four[0]["brief"] = 1
    del four[1]["brief"]
    assert all("brief" not in node for node in four)
    assert all("brief" not in set(node.scan()) for node in four)


def test_a_put_tells_its_replicas(four: list[kadmap.DHT]) -> None:
    result = four[0].set("told", 1, consistency="all")
    assert sorted(result.acks) == sorted(node.id for node in four)
    assert (result.need, result.replicas, result.refused, result.silent) == (4, 4, [], [])


def test_versions_detect_a_lost_race(pair: list[kadmap.DHT]) -> None:
    one, other = pair
    first = one.put_if_version("race", 1, kadmap.ABSENT)
    with pytest.raises(kadmap.Conflict) as caught:
        other.put_if_version("race", 2, kadmap.ABSENT)
    assert caught.value.found == first.version
    reading = other.read("race")
    other.put_if_version("race", reading.value + 1, reading.version)
    assert one["race"] == 2


def test_setdefault_after_a_delete(dht: kadmap.DHT) -> None:
    dht["k"] = 1
    del dht["k"]
    assert dht.setdefault("k", (2,)) == [2]
    assert dht["k"] == [2]


def test_fields_have_many_writers(pair: list[kadmap.DHT]) -> None:
    one, other = pair
    one.put_field("map", "a", 1)
    other.put_field("map", "b", {"deep": [2]})
    one.delete_field("map", "a")
    assert one["map"] == other["map"] == {"b": {"deep": [2]}}
    with pytest.raises(TypeError, match="field"):
        one.put_field("map", 1, 1)  # type: ignore[arg-type]


def test_an_append_to_what_is_no_list_is_a_type_error(dht: kadmap.DHT) -> None:
    dht["number"] = 1
    with pytest.raises(kadmap.WrongShape) as caught:
        dht.append("number", 2)
    assert isinstance(caught.value, TypeError)
    assert dht["number"] == 1


def test_what_is_too_large_is_refused_with_its_size(dht: kadmap.DHT) -> None:
    with pytest.raises(kadmap.TooLarge) as caught:
        dht["large"] = "x" * 2_000_000
    assert isinstance(caught.value, ValueError)
    assert caught.value.bytes > caught.value.bytes_max


def test_a_large_value_travels() -> None:
    with swarm(3, value_bytes_max=20_000_000) as nodes:
        nodes[0]["large"] = "x" * 16_000_000
        assert len(nodes[2]["large"]) == 16_000_000


def test_a_value_with_a_time_to_live_goes(dht: kadmap.DHT) -> None:
    dht.set("brief", 1, ttl=0.05)
    while "brief" in dht:
        pass
    assert dht.get("brief") is None


def test_one_replica_will_do(four: list[kadmap.DHT]) -> None:
    four[0].set("quick", 1, consistency="one", timeout=5)
    assert four[0].get("quick", consistency="all", timeout=5) == 1


def test_status_peers_and_lookup(four: list[kadmap.DHT]) -> None:
    node = four[0]
    assert node.status().contacts == 3
    peers = node.peers()
    assert {(peer.host, peer.port) for peer in peers} == {other.address for other in four[1:]}
    assert {peer.id for peer in peers} == {other.id for other in four[1:]}
    assert {peer.id for peer in node.lookup("colour").closest} <= {other.id for other in four}


def test_who_introduces_itself_how() -> None:
    def info(number: int) -> object:
        return {"number": number, "name": "ü"}

    with swarm(3, info=info, id=lambda number: 2**200 + number) as nodes:
        told = {each.id: each.info for each in nodes[0].introductions()}
        assert told == {2**200 + number: info(number) for number in (1, 2)}
        assert nodes[1].identity == 2**200 + 1
        assert nodes[1].info == info(1)
    with swarm(2) as nodes:
        (told_by_default,) = nodes[0].introductions()
        assert told_by_default.id == nodes[1].identity == int(nodes[1].id, 16)
        assert told_by_default.info is None


def test_nodes_are_compared_as_handles(pair: list[kadmap.DHT]) -> None:
    one, other = pair
    assert one == one
    assert one != other
    assert len({one, other}) == 2


def test_repr_says_where_and_whether(dht: kadmap.DHT) -> None:
    assert repr(dht).startswith(f"<kadmap.DHT 127.0.0.1:{dht.port} id {dht.id[:16]}")
    assert "closed" not in repr(dht)
    dht.close()
    assert "closed" in repr(dht)
