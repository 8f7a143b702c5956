"""Lists item by item, and who has announced itself."""

from __future__ import annotations

import asyncio
import datetime
import gc
import time
import warnings

import pytest

import kadmap
from kadmap import aio
from kadmap.testing import swarm


def test_a_long_list_is_read_item_by_item(four: list[kadmap.DHT]) -> None:
    four[0]["long"] = ["put"]
    before = time.time()
    ids = [four[0].append("long", number, ttl=600).id for number in range(600)]
    items = list(four[3].items("long"))
    assert [item.value for item in items] == ["put", *range(600)]
    assert [item.id for item in items] == [None, *ids]
    put, first = items[0], items[1]
    assert (put.written, put.writer, put.expires) == (None, None, None)
    assert first.written is not None and first.expires is not None
    assert before - 60 < first.written <= first.expires - 599
    assert [item.value for item in four[1].items("long", after=ids[597])] == [598, 599]
    assert list(four[0].items("no such list")) == []


def test_an_item_is_removed_by_its_id(four: list[kadmap.DHT]) -> None:
    ids = [four[0].append("removing", number).id for number in range(3)]
    assert four[2].remove("removing", ids[1]).acks
    assert four[3]["removing"] == [0, 2]
    with pytest.raises(kadmap.NoSuchItem) as caught:
        four[1].remove("removing", ids[1])
    assert caught.value.id == ids[1]
    assert isinstance(caught.value, LookupError)
    with pytest.raises(ValueError, match="'4' is not an item's id"):
        four[1].remove("removing", "4")


def test_a_list_is_trimmed_by_number_time_and_item(four: list[kadmap.DHT]) -> None:
    ids = [four[0].append("trimming", number).id for number in range(6)]
    assert four[1].trim("trimming", keep=5) is not None
    assert four[2]["trimming"] == [1, 2, 3, 4, 5]
    assert four[1].trim("trimming", keep=5) is None
    four[1].trim("trimming", up_to=ids[2])
    assert four[2]["trimming"] == [3, 4, 5]
    assert four[1].trim("trimming", before=time.time() - 3600) is None
    assert four[1].trim("trimming", before=datetime.datetime.now() - datetime.timedelta(hours=1)) is None
    four[1].trim("trimming", before=time.time() + 3600)
    assert four[2]["trimming"] == []
    for wrong in ({}, {"keep": 1, "up_to": ids[0]}):
        with pytest.raises(ValueError, match="by one of keep, before and up_to"):
            four[1].trim("trimming", **wrong)  # type: ignore[arg-type]


def test_what_is_no_list_is_told(dht: kadmap.DHT) -> None:
    dht["colour"] = "red"
    id = dht.append("list", 1).id
    for attempt in (
        lambda: list(dht.items("colour")),
        lambda: dht.remove("colour", id),
        lambda: dht.trim("colour", keep=1),
        lambda: dht.announce("colour"),
        lambda: dht.providers("colour"),
    ):
        with pytest.raises(kadmap.WrongShape, match="'colour' holds a value"):
            attempt()


def test_a_key_that_fills_up_is_warned_of_once() -> None:
    with swarm(1, value_bytes_max=1000, record_bytes_max=2000) as (dht,):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with pytest.raises(kadmap.TooLarge, match="trim it or use another key"):
                while True:
                    dht.append("log", "12345678")
        told = [warning for warning in caught if warning.category is kadmap.RecordSizeWarning]
        assert len(told) == 1
        assert "'log' holds" in str(told[0].message)
        assert told[0].filename == __file__
        dht.trim("log", keep=1)
        result = dht.append("log", 1)
        assert result.record_bytes is not None and result.record_bytes < 500
        assert result.record_bytes_max == 2000


def test_announcers_are_told_once_each_until_they_stop(four: list[kadmap.DHT]) -> None:
    announcements = [node.announce("model", {"number": number}) for number, node in enumerate(four)]
    again = four[0].announce("model", "again")
    told = {provider.id: provider.payload for provider in four[3].providers("model")}
    assert told == {four[0].id: "again", **{four[n].id: {"number": n} for n in (1, 2, 3)}}
    assert all(provider.expires > time.time() + 1700 for provider in four[3].providers("model"))
    assert announcements[1].id == four[1].id
    assert announcements[1].stop() is not None
    assert announcements[1].stop() is None
    assert four[1].id not in {provider.id for provider in four[2].providers("model")}
    for announcement in (announcements[0], again, *announcements[2:]):
        announcement.stop()
    assert four[2].providers("model") == []


def test_an_announcement_may_be_for_another_and_for_once(dht: kadmap.DHT) -> None:
    id = "ab" * 32
    dht.announce_once("job", b"bytes", ttl=60, id=id)
    [provider] = dht.providers("job")
    assert (provider.id, provider.payload) == (id, b"bytes")
    dht.withdraw("job", id)
    assert dht.providers("job") == []
    with pytest.raises(ValueError, match="an announcement of 1s"):
        dht.announce("job", ttl=1)
    with pytest.raises(ValueError, match="not the id of a node"):
        dht.announce("job", id="me")


def test_a_dropped_announcement_ends_by_itself(dht: kadmap.DHT) -> None:
    announcement = dht.announce("brief", ttl=3)
    del announcement
    gc.collect()
    end = time.monotonic() + 30
    while dht.providers("brief"):
        assert time.monotonic() < end, "it is still renewed"
        time.sleep(0.05)


def test_a_node_that_has_ended_takes_its_announcements_along() -> None:
    with swarm(1) as (dht,):
        announcement = dht.announce("model")
        dht.close()
        with pytest.raises(kadmap.Stopped):
            announcement.stop()


def test_the_same_is_there_for_asyncio() -> None:
    async def main() -> None:
        async with aio.DHT("127.0.0.1", 0) as dht:
            ids = [(await dht.append("list", number)).id for number in range(4)]
            assert [item.value async for item in dht.items("list", after=ids[0])] == [1, 2, 3]
            await dht.remove("list", ids[2])
            await dht.trim("list", keep=2)
            assert await dht["list"] == [1, 3]
            with pytest.raises(kadmap.NoSuchItem):
                await dht.remove("list", ids[2])
            async with await dht.announce("model", 7) as announcement:
                assert announcement.id == dht.id
                assert [provider.payload for provider in await dht.providers("model")] == [7]
            assert await dht.providers("model") == []
            await dht.announce_once("model", 8)
            await dht.withdraw("model")
            assert await dht.providers("model") == []

    asyncio.run(main())
