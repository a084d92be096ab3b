"""While a call to the database lasts, the producer's connection is looked after, and only then."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from tests.relay.parts import relay_threads
from tidings.relay.kept_connection import KeptConnection
from tidings.testing import eventually


class Connection:
    """Counts how often it is looked after; `error` is what it then raises."""

    def __init__(self) -> None:
        self.looked_after = 0
        self.in_call = threading.Event()
        self.out_of_turn = False
        self.error: Exception | None = None

    def wait(self, _seconds: float) -> None:
        self.out_of_turn |= not self.in_call.is_set()
        self.looked_after += 1
        if self.error is not None:
            raise self.error


def test_a_long_call_has_the_connection_looked_after_again_and_again() -> None:
    connection = Connection()

    with KeptConnection(connection.wait, "x") as kept:
        with kept.during_call():
            connection.in_call.set()
            eventually(lambda: connection.looked_after >= 2)
        connection.in_call.clear()
        for _ in range(1000):
            with kept.during_call():
                pass

    assert not connection.out_of_turn, "it was used while its own thread might use it"
    assert relay_threads() == []


def test_a_connection_that_fails_meanwhile_ends_the_call_with_its_error() -> None:
    connection = Connection()
    connection.error = ConnectionError("gone")

    with KeptConnection(connection.wait, "x") as kept:
        with pytest.raises(ConnectionError, match="gone"), kept.during_call():
            eventually(lambda: connection.looked_after)
        with kept.during_call():
            pass  # it was told once


def test_a_producer_that_has_something_tracked_while_it_waits_is_told_so() -> None:
    waited: list[float] = []

    def wait(seconds: float) -> None:
        waited.append(seconds)
        with kept.during_call():
            pass

    with KeptConnection(wait, "x") as kept:
        kept.begin()
        eventually(lambda: waited and "tidings-x-waiting" not in relay_threads())
        assert "The producer of 'x' called on_accepted from within wait()" in str(kept.end())


def test_what_the_call_itself_raises_goes_first() -> None:
    connection = Connection()
    connection.error = ConnectionError("gone")

    def call(kept: KeptConnection) -> None:
        with kept.during_call():
            eventually(lambda: connection.looked_after)
            raise LookupError

    with KeptConnection(connection.wait, "x") as kept, pytest.raises(LookupError):
        call(kept)


FORKED = """
import os
from tidings.relay.kept_connection import KeptConnection
from tidings.testing import eventually

looked_after = []

def kept(whose):
    return KeptConnection(lambda _seconds: looked_after.append(whose), whose)

with kept("of the parent"):
    if not os.fork():
        with kept("of the child") as connection, connection.during_call():
            eventually(lambda: len(looked_after) > 1)
        print(sorted(set(looked_after)), flush=True)
        os._exit(0)
    os.wait()
"""


def test_a_child_looks_after_its_own_connections_and_not_its_parents() -> None:
    said = subprocess.run(
        [sys.executable, "-c", FORKED], capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout.splitlines() == ["['of the child']"]
