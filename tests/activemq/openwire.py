"""Deletes a queue as an operator's console does: STOMP has no word for it, and OpenWire has."""

from __future__ import annotations

import socket
import struct
from contextlib import closing

from tests.servers.activemq import PASSWORD, USER

VERSION = 12
WIRE_FORMAT, CONNECTION, DESTINATION, RESPONSE, REFUSAL = 1, 3, 8, 30, 31
CONNECTION_ID, QUEUE = 120, 100
REMOVE = 1
NULL = NO = b"\0"
YES = b"\1"
FORMAT = {"MaxFrameSize": 1024 * 1024, "MaxInactivityDuration": 0}


def delete_queue(port: int, queue: str) -> None:
    """Delete a queue, whoever is subscribed to it."""
    properties = struct.pack(">i", len(FORMAT)) + b"".join(
        _word(name) + struct.pack(">bq", 6, value) for name, value in FORMAT.items()
    )
    connection = YES + bytes([CONNECTION_ID]) + _text("operator")
    with closing(socket.create_connection(("127.0.0.1", port), 10)) as broker:
        _write(
            broker,
            WIRE_FORMAT,
            b"ActiveMQ",
            struct.pack(">i?i", VERSION, True, len(properties)),
            properties,
        )
        _write(
            broker,
            CONNECTION,
            struct.pack(">i?", 1, False),
            connection,
            *(_text("operator"), _text(PASSWORD), _text(USER)),
            *(NULL, NO, NO, NO, NO, NO, NULL),
        )
        _write(
            broker,
            DESTINATION,
            struct.pack(">i?", 2, True),
            connection,
            *(YES, bytes([QUEUE]), _text(queue)),
            struct.pack(">bq", REMOVE, 1),  # milliseconds; with 0, subscriptions would forbid it
            NULL,
        )
        with broker.makefile("rb") as answers:
            while True:
                (size,) = struct.unpack(">i", answers.read(4))
                answer = answers.read(size)
                assert answer[0] != REFUSAL, answer
                if answer[0] == RESPONSE:
                    return


def _write(broker: socket.socket, kind: int, *parts: bytes) -> None:
    command = bytes([kind]) + b"".join(parts)
    broker.sendall(struct.pack(">i", len(command)) + command)


def _text(text: str) -> bytes:
    return YES + _word(text)


def _word(text: str) -> bytes:
    return struct.pack(">H", len(text.encode())) + text.encode()
