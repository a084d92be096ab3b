"""What is confirmed counts once the queues were seen, and that is looked for in time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

from tidings_rabbitmq import confirms as confirms_module
from tidings_rabbitmq.confirms import LOOKS_IN_A_WINDOW, Confirms
from tidings_rabbitmq.unconfirmed import Unconfirmed

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tidings_rabbitmq.connection import AmqpConnection

WINDOW = 400


class Connection:
    """Answers each look at a queue at once, and counts them."""

    def __init__(self) -> None:
        self.looks = 0
        self.channel = self

    def queue_declare(self, queue: str, *, passive: bool, callback: Callable[[], None]) -> None:
        assert (queue, passive) == ("x", True)
        self.looks += 1
        callback()

    def start(self, method: Callable[..., Any], **arguments: Any) -> None:
        method(**arguments)


def trickle(count: int) -> tuple[int | None, int]:
    """Confirm so many, each when the next one is sent; return what is accepted, and the looks."""
    connection, unconfirmed = Connection(), Unconfirmed()
    confirms = Confirms(cast("AmqpConnection", connection), unconfirmed, ["x"], WINDOW)
    unconfirmed.add(1, 1, 1)
    for tag in range(1, count + 1):
        unconfirmed.add(tag + 1, 1, 1)
        confirms.confirmed(tag, multiple=False)
    return unconfirmed.accepted_id, connection.looks


def test_what_is_confirmed_counts_soon_though_more_is_always_on_its_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(confirms_module, "LOOK_AGAIN", 0.0)

    accepted_id, _ = trickle(5)

    assert accepted_id == 5


def test_of_many_messages_the_queues_are_looked_at_four_times_a_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(confirms_module, "LOOK_AGAIN", math.inf)

    _, looks = trickle(WINDOW)

    assert looks == LOOKS_IN_A_WINDOW
