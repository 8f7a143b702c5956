"""Values: kept exactly, or refused before anything travels."""

from __future__ import annotations

import datetime
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kadmap
from kadmap._values import decode, encode, encode_mixed

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
json_values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=30)
values = json_values | st.binary()


def same(one: Any, other: Any) -> bool:
    """Equal, and of equal types all the way down: True is not 1, 1 is not 1.0, 0.0 is not -0.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return bool(one == other)


@given(values)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    assert same(decode(encode(value)), value)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(values)
def test_a_value_comes_back_from_another_node_as_it_was(four: list[kadmap.DHT], value: Any) -> None:
    four[0]["round trip"] = value
    assert same(four[3]["round trip"], value)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(values, max_size=5))
def test_items_of_a_list_come_back_as_they_were(four: list[kadmap.DHT], items: list[Any]) -> None:
    four[0]["items"] = []
    for item in items:
        four[1].append("items", item)
    assert same(four[2]["items"], items)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text(), values, max_size=5))
def test_fields_of_a_dict_come_back_as_they_were(four: list[kadmap.DHT], fields: dict[str, Any]) -> None:
    four[0]["fields"] = {}
    for name, value in fields.items():
        four[1].put_field("fields", name, value)
    assert same(four[2]["fields"], dict(sorted(fields.items(), key=lambda pair: pair[0].encode())))


@given(st.text(alphabet=st.characters(categories=["Cs", "L"])))
def test_surrogates_are_kept_or_refused_never_changed(text: str) -> None:
    try:
        pair = encode([text])
    except TypeError:
        return
    assert decode(pair) == [text]
    pair[1].encode()


@pytest.mark.parametrize("value", [2**4000, -(2**64), 10**400, "\U0001f600 ☃ \0 \ud800", -0.0, 5e-324, 1e308])
def test_extremes_are_kept(dht: kadmap.DHT, value: Any) -> None:
    dht["extreme"] = {"deep": [value]}
    assert same(dht["extreme"], {"deep": [value]})


@pytest.mark.parametrize("value", [None, 0, 0.0, "", [], {}, False, b""], ids=repr)
def test_falsy_values_are_values(pair: list[kadmap.DHT], value: Any) -> None:
    one, other = pair
    one["falsy"] = value
    assert same(other["falsy"], value)
    assert same(other.get("falsy", "default"), value)
    assert "falsy" in other
    assert same(other.setdefault("falsy", "default"), value)
    assert same(other.pop("falsy"), value)
    assert "falsy" not in one


def test_deep_nesting_is_kept_or_refused(dht: kadmap.DHT) -> None:
    value: list[Any] = []
    for _ in range(500):
        value = [value]
    dht["deep"] = value
    assert dht["deep"] == value
    for _ in range(1_000_000):
        value = [value]
    with pytest.raises(TypeError, match="deep"):
        dht["deep"] = value
    while value:
        value = value.pop()


REFUSED: list[Any] = [
    math.nan,
    math.inf,
    -math.inf,
    [math.nan],
    {1, 2},
    object(),
    datetime.date(2024, 1, 1),
    1j,
    {("a", "b"): 1},
    [b"bytes inside"],
    {"a": bytearray(b"bytes inside")},
]


@pytest.mark.parametrize("value", REFUSED, ids=repr)
def test_what_is_not_json_is_refused_before_anything_travels(pair: list[kadmap.DHT], value: Any) -> None:
    one = pair[0]
    one["kept"] = [1]
    before = one.read("kept").version
    for write in (one.set, one.append, lambda key, item: one.put_field(key, "field", item)):
        with pytest.raises(TypeError):
            write("kept", value)
    with pytest.raises(TypeError):
        one["kept"] = value
    assert one.read("kept").version == before


def test_cycles_are_refused(dht: kadmap.DHT) -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(TypeError, match="[Cc]ircular"):
        dht["cycle"] = cycle


def test_bytes_inside_are_refused_with_the_remedy(dht: kadmap.DHT) -> None:
    with pytest.raises(TypeError, match="base64"):
        dht["k"] = {"image": b"..."}


def test_as_json_does_tuples_become_lists_and_keys_of_dicts_str(dht: kadmap.DHT) -> None:
    dht["k"] = {1: (1, 2), None: True}
    assert dht["k"] == {"1": [1, 2], "null": True}


def test_all_kinds_of_bytes_come_back_as_bytes(dht: kadmap.DHT) -> None:
    for value in (b"\0\xff", bytearray(b"\0\xff"), memoryview(b"\0\xff")):
        dht["k"] = value
        assert same(dht["k"], b"\0\xff")


def test_bytes_may_be_items_and_fields(pair: list[kadmap.DHT]) -> None:
    one, other = pair
    one.append("list", b"\0")
    one.append("list", {"a": 1})
    one.put_field("map", "raw", b"\xff")
    assert other["list"] == [b"\0", {"a": 1}]
    assert other["map"] == {"raw": b"\xff"}


@given(st.lists(values, min_size=1, max_size=4))
def test_mixed_lists_survive_a_guard(items: list[Any]) -> None:
    assert same(decode(encode_mixed(items)), items)
