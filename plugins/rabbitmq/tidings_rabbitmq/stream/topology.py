"""What an exchange's name means: a stream of that name, or a super stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rstream import exceptions, schema

from tidings.plugins import BrokerRefusedError
from tidings_rabbitmq.stream.connection import OK
from tidings_rabbitmq.stream.failures import diagnose_code

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidings_rabbitmq.stream.connection import StreamConnection

SHORT_STRING = 255
"""Bytes of a publisher's or subscriber's name."""
MOST_PARTITIONS = 255
_MAKES_SUPER_STREAMS = (3, 13)


def make_sure_of_streams(
    connection: StreamConnection, partitions: int, arguments: Mapping[str, int | str]
) -> list[str]:
    """Return the exchange's stream, or those of its partitions in order; create what is missing.

    A super stream that is there is used as it is. RabbitMQ makes one by this protocol from 3.13 on.
    Before, the streams of its partitions are made by themselves, with the names that they would
    have in it.
    """
    name = connection.exchange_name
    if not partitions:
        _create_if_missing(connection, name, arguments)
        return [name]
    _check_count(connection, partitions)
    known = connection.ask(
        schema.SuperStreamPartitions(connection.next_id(), name),
        schema.SuperStreamPartitionsResponse,
        "looking for the super stream",
    )
    if known.response_code == OK and known.streams:
        if len(known.streams) != partitions:
            raise BrokerRefusedError(
                f"Exchange {name!r}: the super stream has {len(known.streams)} partitions, and the "
                f"configuration says {partitions}. Say what it has, or choose another name.",
                exchange_name=name,
            )
        return known.streams
    streams = [f"{name}-{partition}" for partition in range(partitions)]
    if connection.version >= _MAKES_SUPER_STREAMS:
        _create_super_stream(connection, streams, arguments)
    else:
        for stream in streams:
            _create_if_missing(connection, stream, arguments)
    return streams


def _check_count(connection: StreamConnection, partitions: int) -> None:
    if partitions > MOST_PARTITIONS:
        raise BrokerRefusedError(
            f"Exchange {connection.exchange_name!r}: a connection has at most {MOST_PARTITIONS} "
            f"publishers, one for each partition, and the configuration says {partitions}.",
            exchange_name=connection.exchange_name,
        )


def _create_super_stream(
    connection: StreamConnection, streams: Sequence[str], arguments: Mapping[str, int | str]
) -> None:
    keys = [str(partition) for partition in range(len(streams))]
    create = schema.CreateSuperStream(
        connection.next_id(), connection.exchange_name, [*streams], keys, _properties(arguments)
    )
    answer = connection.ask(create, schema.CreateSuperStreamResponse, "creating the super stream")
    _expect_created(connection, answer.response_code, "creating the super stream")


def _create_if_missing(
    connection: StreamConnection, name: str, arguments: Mapping[str, int | str]
) -> None:
    known = connection.ask(
        schema.Metadata(connection.next_id(), [name]), schema.MetadataResponse, "looking for it"
    )
    if known.metadata[0].response_code == OK:
        return
    create = schema.Create(connection.next_id(), name, _properties(arguments))
    answer = connection.ask(create, schema.CreateResponse, "creating the stream")
    _expect_created(connection, answer.response_code, "creating the stream")


def _properties(arguments: Mapping[str, int | str]) -> list[schema.Property]:
    return [schema.Property(key, str(value)) for key, value in arguments.items()]


def _expect_created(connection: StreamConnection, code: int, doing: str) -> None:
    if code not in (OK, exceptions.StreamAlreadyExists.code):
        connection.fail(diagnose_code(code, doing))
        connection.check()
