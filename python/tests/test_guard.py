"""Guards: what they see, change and veto."""

from __future__ import annotations

from typing import Any, Optional

import pytest

import kadmap
from kadmap.testing import swarm

Message = dict[str, Any]


class Watching:
    """Sees some kinds and lets them through."""

    def __init__(self, *kinds: str) -> None:
        self.kinds = kinds
        self.seen: list[tuple[str, Message]] = []

    def message(self, kind: str, message: Message) -> Optional[Message]:
        self.seen.append((kind, message))
        return message


def test_a_guard_sees_the_kinds_it_asks_for_and_no_others() -> None:
    guards = [Watching("store", "found_value"), Watching("find"), Watching()]
    with swarm(3, guard=lambda number: guards[number], replication=1) as nodes:
        for number in range(30):
            nodes[0][number] = number
            assert nodes[0][number] == number
        owners = {node.id: guards[number] for number, node in enumerate(nodes)}
    assert {kind for kind, _ in guards[0].seen} == {"store", "found_value"}
    assert {kind for kind, _ in guards[1].seen} == {"find"}
    assert guards[2].seen == []
    assert len(owners) == 3


def test_each_operation_has_its_name() -> None:
    guard = Watching("store")
    with kadmap.DHT("127.0.0.1", 0, guard=guard) as dht:
        dht["k"] = 1
        dht.delete("k")
        dht.append("list", {"item": 1})
        dht.put_field("map", "a", b"\0")
        dht.delete_field("map", "a")
    assert [(message["operation"], message["value"]) for _, message in guard.seen] == [
        ("put", 1),
        ("delete", None),
        ("append", {"item": 1}),
        ("put_field", b"\0"),
        ("delete_field", None),
    ]


def test_a_reader_may_change_and_veto_what_it_is_told() -> None:
    class Doubling:
        kinds = ["found_value"]

        def message(self, kind: str, message: Message) -> Optional[Message]:
            return {**message, "value": message["value"] * 2}

    with swarm(1, replication=1) as (holder,):
        with kadmap.DHT("127.0.0.1", 0, [holder.address], client=True, guard=Doubling(), replication=1) as reader:
            holder["k"] = 21
            assert reader["k"] == 42
            assert holder["k"] == 21


def test_one_replica_that_refuses_is_told_with_its_reason() -> None:
    class Refusing:
        kinds = ["store"]

        def message(self, kind: str, message: Message) -> Optional[Message]:
            return None

    with kadmap.DHT("127.0.0.1", 0) as one, kadmap.DHT("127.0.0.1", 0, [one.address], guard=Refusing()) as other:
        with pytest.raises(kadmap.PutError) as caught:
            one.set("k", 1, consistency="all")
        assert [who for who, _ in caught.value.refused] == [other.id]
        assert "veto" in caught.value.refused[0][1]


def test_untouched_values_stay_as_they_were_written() -> None:
    guards = [Watching("store"), Watching()]
    with swarm(2, guard=lambda number: guards[number]) as nodes:
        nodes[1].set("k", {"b": 1, "a": [2**70, 1.0, "\ud800", {"z": 1, "y": 2}]}, consistency="all")
        results = [node.read("k", consistency="all") for node in nodes]
        assert results[0].value == results[1].value
        assert results[0].repaired == results[1].repaired == 0


def test_an_unknown_kind_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="gossip"):
        kadmap.DHT("127.0.0.1", 0, guard=Watching("gossip"))
