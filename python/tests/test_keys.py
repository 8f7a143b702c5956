"""Keys: three kinds that never meet, and back."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kadmap
from kadmap import Name
from kadmap._keys import decode, encode

any_text = st.text(alphabet=st.characters(exclude_categories=[]))
any_key = st.one_of(any_text, st.binary(), st.integers())


@given(any_key)
def test_a_key_comes_back_as_it_was(key: kadmap.Key) -> None:
    back = decode(encode(key))
    assert back == key
    assert type(back) is type(key)


@given(any_key, any_key)
def test_distinct_keys_have_distinct_names(one: kadmap.Key, other: kadmap.Key) -> None:
    same = type(one) is type(other) and one == other
    assert (encode(one) == encode(other)) is same


@given(st.binary())
def test_every_name_of_the_swarm_is_some_key(name: bytes) -> None:
    assert encode(decode(name)) == name


def test_names_that_only_look_like_marked_ones_are_kept_apart() -> None:
    for name in (b"\xffi+1", b"\xffi 1", b"\xffi0_1", b"\xffi01", b"\xffi", b"\xffx", b"\xff", b"\xfe"):
        assert isinstance(decode(name), Name)


def test_a_str_is_its_utf8_for_the_shell() -> None:
    assert encode("grün") == "grün".encode()


def test_an_enum_of_ints_is_its_number() -> None:
    class Port(IntEnum):
        HTTP = 80

    assert encode(Port.HTTP) == encode(80)


@pytest.mark.parametrize("key", [True, None, 1.5, ("a", "b"), bytearray(b"x"), object()], ids=repr)
def test_anything_else_is_refused_by_name(key: Any) -> None:
    with pytest.raises(TypeError, match=type(key).__name__):
        encode(key)


def test_the_three_kinds_are_distinct_in_the_swarm(pair: list[kadmap.DHT]) -> None:
    one, other = pair
    one["1"], one[b"1"], one[1] = "str", "bytes", "int"
    assert (other["1"], other[b"1"], other[1]) == ("str", "bytes", "int")
    assert sorted(map(repr, other.scan())) == ["'1'", "1", "b'1'"]


def test_a_name_is_not_the_bytes_it_is_made_of() -> None:
    assert Name(b"x") != b"x"
    assert Name(b"x") == Name(b"x")
    assert len({Name(b"x"), Name(b"x"), b"x"}) == 2
