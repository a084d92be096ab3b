"""What comes out of a socket, however it is cut: whole frames, and no beats between them."""

from __future__ import annotations

import itertools
import socket
import threading
from typing import TYPE_CHECKING

from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from tidings_activemq.consumer import ActiveMQConsumer
from tidings_activemq.settings import ActiveMQSettings
from tidings_activemq.whole_frames import WholeFrames

if TYPE_CHECKING:
    from collections.abc import Sequence

BEATS = st.text("\n", max_size=3).map(str.encode)
LONG = b"MESSAGE\ncontent-length:200000\n\n" + bytes(200_000) + b"\0"


def with_length(body: bytes) -> bytes:
    return b"MESSAGE\nevent-id:1\ncontent-length:%d\n\n%b\0" % (len(body), body)


def without_length(body: bytes) -> bytes:
    return b"MESSAGE\nevent-id:1\n\n%b\0" % body.replace(b"\0", b"")


def windows(body: bytes) -> bytes:
    return b"MESSAGE\r\ncontent-length:%d\r\n\r\n%b\0" % (len(body), body)


BODIES = st.binary(max_size=40) | st.sampled_from(
    [b"", b"\0", b"\n\n\0\0\n", b"content-length:9\n\n"]
)
FRAMES = st.one_of(*(BODIES.map(made) for made in (with_length, without_length, windows)))


@given(st.lists(st.tuples(BEATS, FRAMES), max_size=5), BEATS, st.lists(st.integers(1, 30)))
@example([(b"\n\n", with_length(b"\0"))], b"\n", [1] * 60)
def test_frames_come_out_whole_and_without_beats_however_they_are_cut(
    sent: Sequence[tuple[bytes, bytes]], beats: bytes, sizes: Sequence[int]
) -> None:
    stream = b"".join(beats + frame for beats, frame in sent) + beats
    ends = set(itertools.accumulate((len(frame) for _, frame in sent), initial=0))
    frames, out, at = WholeFrames(), b"", 0
    for size in (*sizes, len(stream)):
        out += frames.take(stream[at : at + size])
        at += size

        assert len(out) in ends
    assert out == b"".join(frame for _, frame in sent)


def test_a_large_frame_is_handed_on_once() -> None:
    frames = WholeFrames()
    out = [frames.take(LONG[at : at + 1000]) for at in range(0, len(LONG), 1000)]

    assert [each for each in out if each] == [LONG]


def test_beats_right_before_a_message_cost_no_message() -> None:
    """After a pause they come together, and with what came meanwhile."""

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(10_000)
            connection.sendall(b"CONNECTED\nversion:1.2\nheart-beat:0,0\n\n\0")
            connection.recv(10_000)
            connection.sendall(b"RECEIPT\nreceipt-id:r1\n\n\0")
            for event_id in (1, 2):
                head = (
                    b"MESSAGE\nsubscription:consumer\nmessage-id:m\nack:a\nevent-id:%d" % event_id
                )
                connection.sendall(b"\n\n" + head + b"\n\n{}\0")
            while connection.recv(10_000):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        url = SecretStr(f"stomp://127.0.0.1:{listener.getsockname()[1]}")
        consumer = ActiveMQConsumer(ActiveMQSettings(url=url, heartbeat=0), "app")
        consumer.open("orders")
        received = [consumer.receive(10), consumer.receive(10)]
        consumer.close()
        thread.join()

    assert [each and each.message_id for each in received] == ["1", "2"]
