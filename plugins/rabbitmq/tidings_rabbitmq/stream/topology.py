"""What an exchange's name means: a stream of that name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rstream import exceptions, schema

from tidings_rabbitmq.stream.connection import OK
from tidings_rabbitmq.stream.explain import diagnose_code

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tidings_rabbitmq.stream.connection import StreamConnection

SHORT_STRING = 255
"""Bytes of a publisher's or subscriber's name."""


def create_if_missing(connection: StreamConnection, arguments: Mapping[str, int | str]) -> None:
    """Create the stream named like the exchange, unless it is there."""
    name = connection.exchange_name
    known = connection.ask(
        schema.Metadata(connection.next_id(), [name]), schema.MetadataResponse, "looking for it"
    )
    if known.metadata[0].response_code == OK:
        return
    create = schema.Create(
        connection.next_id(),
        name,
        [schema.Property(key, str(value)) for key, value in arguments.items()],
    )
    answer = connection.ask(create, schema.CreateResponse, "creating the stream")
    if answer.response_code not in (OK, exceptions.StreamAlreadyExists.code):
        connection.fail(diagnose_code(answer.response_code, "creating the stream"))
        connection.check()
