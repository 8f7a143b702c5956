"""The user's hash function: where keys live."""

from __future__ import annotations

import logging
from typing import Any

import pytest

import kadmap
from kadmap.testing import swarm


def family(key: kadmap.Key) -> str:
    return str(key)[:4]


@pytest.mark.parametrize(
    "function",
    [family, lambda key: str(key).encode(), lambda key: 5, lambda key: -1, lambda key: 2**300 + 1, hash],
    ids=["str", "bytes", "int", "negative", "large", "hash"],
)
def test_keys_that_hash_alike_stay_distinct(function: Any) -> None:
    with swarm(3, hash_function=function) as nodes:
        nodes[0]["my_key"], nodes[0]["my_kitten"], nodes[0][5] = 1, 2, 3
        for node in nodes:
            assert (node["my_key"], node["my_kitten"], node[5]) == (1, 2, 3)
        assert set(nodes[1].scan()) == {"my_key", "my_kitten", 5}
        del nodes[2]["my_key"]
        assert nodes[0]["my_kitten"] == 2


def test_an_int_is_the_place_itself() -> None:
    with kadmap.DHT("127.0.0.1", 0, hash_function=lambda key: int(key) + 2**256) as dht:
        assert dht.place("7") == 7


def test_keys_of_one_place_are_listed_by_it() -> None:
    with swarm(3, hash_function=lambda key: str(key).split("/")[0]) as nodes:
        for key in ("user1/name", "user1/mail", "user2/name"):
            nodes[0][key] = key
        assert set(nodes[2].names_at(nodes[2].place("user1/"))) == {"user1/name", "user1/mail"}


@pytest.mark.parametrize("bad", [None, 1.5, True, ["x"]], ids=repr)
def test_a_bad_return_is_a_type_error(bad: Any) -> None:
    with kadmap.DHT("127.0.0.1", 0, hash_function=lambda key: bad) as dht:
        with pytest.raises(TypeError, match="str, bytes or int"):
            dht["k"] = 1


def test_an_exception_is_raised_logged_and_fails_one_request(caplog: pytest.LogCaptureFixture) -> None:
    def fussy(key: kadmap.Key) -> str:
        if key == "bad":
            raise RuntimeError("not this one")
        return str(key)

    with kadmap.DHT("127.0.0.1", 0, hash_function=fussy) as dht:
        with pytest.raises(RuntimeError, match="not this one"):
            dht["bad"] = 1
        dht["good"] = 1
        assert dht["good"] == 1
    (record,) = [record for record in caplog.records if record.exc_info]
    assert "fussy" in logging.Formatter().format(record)


def test_it_never_sees_what_is_no_key() -> None:
    seen: list[Any] = []

    def watching(key: kadmap.Key) -> str:
        seen.append(key)
        return "x"

    with kadmap.DHT("127.0.0.1", 0, hash_function=watching) as dht:
        with pytest.raises(TypeError):
            dht[1.5] = 1  # type: ignore[index]
    assert seen == []
