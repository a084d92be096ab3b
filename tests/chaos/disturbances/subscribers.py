"""Subscribers of ZeroMQ that are killed, frozen, late, or gone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.chaos.backends import ZeroMQBackend
from tests.chaos.disturbances.disturbance import Disturbance

if TYPE_CHECKING:
    from tests.chaos.process import Process
    from tests.chaos.stage import Stage


def kill_subscriber(stage: Stage) -> None:
    """Kill -9 the required subscriber at a random moment, and start it again at once."""
    stage.relay()
    _required(stage).kill()
    _zeromq(stage).start_subscriber()
    stage.works_again()


def freeze_subscriber(stage: Stage) -> None:
    """SIGSTOP the required subscriber for longer than heartbeats and timeouts."""
    stage.relay()
    subscriber = _required(stage)
    subscriber.freeze()
    time.sleep(9)  # the disturbance itself
    subscriber.thaw()
    stage.recovers()


def late_subscriber(stage: Stage) -> None:
    """Let the required subscriber be away when the relay starts, and for longer than timeouts."""
    stage.kill(stage.relay())
    _required(stage).kill()
    stage.start_relay()
    time.sleep(9)  # the disturbance itself
    at = stage.position()
    _zeromq(stage).start_subscriber()
    stage.recovers()
    assert stage.position() > at


def lose_reader(stage: Stage) -> None:
    """Kill a subscriber that isn't required, in the middle of its reading; it never returns."""
    reader = _zeromq(stage).subscribe(f"reader{len(stage.stalls)}")
    stage.relay()
    reader.kill()
    stage.load()
    stage.recovers()


def _zeromq(stage: Stage) -> ZeroMQBackend:
    assert isinstance(stage.backend, ZeroMQBackend)
    return stage.backend


def _required(stage: Stage) -> Process:
    subscriber = _zeromq(stage).subscriber
    assert subscriber is not None
    return subscriber


DISTURBANCES = (
    Disturbance("kill subscriber", kill_subscriber, ("zeromq",)),
    Disturbance("freeze subscriber", freeze_subscriber, ("zeromq",)),
    Disturbance("late subscriber", late_subscriber, ("zeromq",)),
    Disturbance("lose a reader", lose_reader, ("zeromq",)),
)
