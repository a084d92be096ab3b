"""Which partition an event belongs to: for ever the same, and the same as for other programs."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime

import mmh3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings import NotificationMessage, StoredEvent, partition_of
from tidings.interfaces.partition import murmur3
from tidings.routing.addressing import Addressing
from tidings.routing.template import Field

MESSAGE = NotificationMessage(b"{}", "application/json", {})


def event(aggregate_id: str | None = None, metadata: str | None = None) -> StoredEvent:
    when = datetime(2026, 1, 2, tzinfo=UTC)
    return StoredEvent(1, "OrderPlaced", "{}", when, aggregate_id, metadata)


# What RabbitMQ's Java client for streams computes: its HashUtilsTest.
@pytest.mark.parametrize(
    ("key", "hashed"),
    [("hello", 1321743225), ("brave", 3825276426), ("new", 2970740106), ("world", 2453398188)],
)
def test_the_hash_is_that_of_rabbitmqs_clients(key: str, hashed: int) -> None:
    assert partition_of(key, 2**32) == murmur3(key.encode()) == hashed


# Its HashRoutingStrategyTest, and the Go client's test of super streams, for three partitions.
def test_the_partitions_are_those_of_rabbitmqs_clients() -> None:
    keys = [f"hello{number}" for number in [*range(1, 11), 88]]

    assert [partition_of(key, 3) + 1 for key in keys] == [2, 1, 2, 3, 1, 3, 1, 2, 1, 3, 2]


# Computed with mmh3.hash(key.encode(), 104729, signed=False): no tail, tails of 1 to 3 bytes, text
# that is not ASCII, and a key of the greatest length.
@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        ("", 3329588566),
        ("a", 1086686554),
        ("ab", 398604456),
        ("abc", 3409700625),
        ("abcd", 3421720556),
        ("order-1", 828619386),
        ("Bestellung-Ü", 2993294478),
        ("東京", 3697211519),
        ("🎉", 3511329074),
        ("\x00", 500407381),
        ("\x00\x00\x00\x00", 1362653161),
        ("\xff", 363606130),
        ("x" * 255, 3141771761),
    ],
)
def test_keys_of_every_length_have_their_known_hash(key: str, hashed: int) -> None:
    assert partition_of(key, 2**32) == murmur3(key.encode()) == hashed


@given(st.binary(max_size=70))
def test_another_implementation_computes_the_same(data: bytes) -> None:
    assert murmur3(data) == mmh3.hash(data, 104_729, signed=False)


def test_without_that_library_the_hash_is_the_same() -> None:
    code = (
        "import sys; sys.modules['mmh3'] = None; from tidings import partition_of; "
        "print(partition_of('hello', 2**32))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert said.stdout == "1321743225\n"


def test_many_keys_are_spread_evenly() -> None:
    counts = Counter(partition_of(f"order-{number}", 8) for number in range(8000))

    assert sorted(counts) == list(range(8))
    assert all(900 < count < 1100 for count in counts.values())


def test_a_key_that_is_no_text_is_refused() -> None:
    with pytest.raises(ValueError, match="its partition key holds text that UTF-8 cannot hold"):
        partition_of("\ud800", 8)


@pytest.mark.parametrize(
    ("field", "key"),
    [("aggregate_id", "order-7"), ("metadata.tenant", "acme"), ("type_name", "OrderPlaced")],
)
def test_a_message_has_its_key_and_its_partition(field: str, key: str) -> None:
    addressing = Addressing(partition_by=Field.parse(field), partitions=8)

    made = addressing.complete(MESSAGE, event("order-7", '{"tenant":"acme"}'))

    assert made == MESSAGE._replace(partition_key=key, partition=partition_of(key, 8))


def test_what_lacks_the_field_belongs_to_partition_0() -> None:
    addressing = Addressing(partition_by=Field.parse("metadata.tenant"), partitions=8)

    for lacking in (event("order-7"), event("order-7", '{"tenant":null}'), event(None, "[1]")):
        assert addressing.complete(MESSAGE, lacking)[-2:] == (None, 0)


def test_a_default_is_a_key_like_any_other() -> None:
    addressing = Addressing(partition_by=Field.parse("metadata.tenant:nobody"), partitions=8)

    made = addressing.complete(MESSAGE, event("order-7"))

    assert made[-2:] == ("nobody", partition_of("nobody", 8))
    assert made.partition != 0


def test_a_field_that_is_no_text_is_told() -> None:
    addressing = Addressing(partition_by=Field.parse("metadata.tenant"), partitions=8)

    with pytest.raises(ValueError, match=r"its metadata\.tenant is a list"):
        addressing.complete(MESSAGE, event(None, '{"tenant":["acme"]}'))


def test_a_key_of_the_serializers_own_is_not_parted_without_being_asked() -> None:
    message = MESSAGE._replace(partition_key="its.own")

    assert Addressing().complete(message, event()) is message
