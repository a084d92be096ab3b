"""The loop that pika waits with: sockets, timers and callbacks, and no file of its own."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tidings_rabbitmq.loop import Loop
from tidings_rabbitmq.pika_loop import NativeLoop

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG = 60.0


@pytest.fixture
def loop() -> NativeLoop:
    return NativeLoop()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_it_has_no_file_of_its_own() -> None:
    before = len(list(Path("/dev/fd").iterdir()))
    loops = [Loop() for _ in range(10)]
    for loop in loops:
        loop.carry(loop)
        loop.step(0)
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_what_can_be_read_ends_the_wait(
    loop: NativeLoop, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    told: list[tuple[int, int]] = []
    loop.add_handler(ours.fileno(), lambda fd, events: told.append((fd, events)), loop.READ)
    theirs.send(b"x")
    loop.step(LONG)
    assert told == [(ours.fileno(), loop.READ)]


def test_of_events_that_nobody_asked_for_nobody_is_told(
    loop: NativeLoop, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    told: list[int] = []
    loop.add_handler(ours.fileno(), lambda _fd, events: told.append(events), loop.READ)
    loop.update_handler(ours.fileno(), loop.WRITE)
    theirs.send(b"x")
    loop.step(LONG)
    assert told == [loop.WRITE]
    loop.remove_handler(ours.fileno())
    loop.step(0)
    assert told == [loop.WRITE]


@pytest.mark.parametrize("wanted", [NativeLoop.READ, NativeLoop.WRITE])
def test_who_reads_or_writes_finds_out_that_the_other_side_hung_up(
    loop: NativeLoop, pair: tuple[socket.socket, socket.socket], wanted: int
) -> None:
    ours, theirs = pair
    told: list[int] = []
    loop.add_handler(ours.fileno(), lambda _fd, events: told.append(events), wanted)
    theirs.close()
    loop.step(LONG)
    assert told == [wanted]


def test_one_that_was_closed_by_another_in_the_same_step_is_told_nothing(
    loop: NativeLoop, pair: tuple[socket.socket, socket.socket]
) -> None:
    told: list[int] = []

    def close_the_other(fd: int, _events: int) -> None:
        told.append(fd)
        for each in pair:
            if each.fileno() != fd:
                loop.remove_handler(each.fileno())

    for each in pair:
        loop.add_handler(each.fileno(), close_the_other, loop.WRITE)
    loop.step(LONG)
    assert len(told) == 1


def test_timers_are_called_in_their_order_and_not_if_they_were_removed(loop: NativeLoop) -> None:
    called: list[str] = []
    loop.call_later(0.02, lambda: called.append("second"))
    removed = loop.call_later(0.0, lambda: called.append("removed"))
    loop.call_later(0.01, lambda: called.append("first"))
    loop.remove_timeout(removed)
    while len(called) < 2:
        loop.step(LONG)
    assert called == ["first", "second"]


def test_what_a_callback_adds_waits_for_the_next_step(loop: NativeLoop) -> None:
    called: list[str] = []

    def again() -> None:
        called.append("again")
        loop.add_callback(again)

    loop.add_callback(again)
    loop.step(LONG)
    assert called == ["again"]
    loop.step(LONG)
    assert called == ["again", "again"]


def test_what_is_due_is_written_by_a_step_that_waits_for_nothing(
    loop: NativeLoop, pair: tuple[socket.socket, socket.socket]
) -> None:
    """As a heartbeat, of which an idle relay would else wait for its next step."""
    ours, _ = pair
    told: list[int] = []
    write = (ours.fileno(), lambda _fd, events: told.append(events), loop.WRITE)
    loop.call_later(0.0, lambda: loop.add_handler(*write))
    loop.step(0)
    assert told == [loop.WRITE]


def test_a_step_with_no_time_left_waits_for_nothing(loop: NativeLoop) -> None:
    loop.step(-1)


def test_when_the_last_connection_is_let_go_what_was_to_be_done_is_forgotten() -> None:
    loop, called = Loop(), list[str]()
    loop.carry("a connection")
    native = vars(loop)["_native"]
    native.call_later(0, lambda: called.append("timer"))
    native.add_callback(lambda: called.append("callback"))
    loop.let_go("a connection")
    loop.step(0)
    assert called == []


def test_an_address_is_read_without_a_thread_and_given_at_the_next_step() -> None:
    loop, told = Loop(), list[object]()
    services = loop.services()
    services.getaddrinfo("127.0.0.1", 5672, told.append, socktype=socket.SOCK_STREAM)
    cancelled = services.getaddrinfo("::1", 5672, told.append, socktype=socket.SOCK_STREAM)
    assert told == []
    assert cancelled.cancel()
    assert not cancelled.cancel()
    loop.step(LONG)
    assert told == [socket.getaddrinfo("127.0.0.1", 5672, type=socket.SOCK_STREAM)]
