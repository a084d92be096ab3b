"""Relays and brokers that are killed, frozen, or too many."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.chaos.databases import PostgreSQLDatabase
from tests.chaos.disturbances.disturbance import BROKERS, Disturbance

if TYPE_CHECKING:
    from tests.chaos.stage import Stage
    from tests.servers import Server


def kill_relay(stage: Stage) -> None:
    """Kill -9 the relay at a random moment, and start another at once, as a supervisor would."""
    stage.kill(stage.relay())
    stage.start_relay()
    stage.works_again()


def terminate_relay(stage: Stage) -> None:
    """SIGTERM under full load."""
    stage.terminate(stage.relay())
    stage.start_relay()
    stage.works_again()


def kill_broker(stage: Stage) -> None:
    """Kill -9 the broker at a random moment; start it again."""
    stage.relay()
    server = broker(stage)
    server.kill()
    server.restart()
    stage.recovers()


def kill_both(stage: Stage) -> None:
    """Kill -9 both at once."""
    relay = stage.relay()
    server = broker(stage)
    server.kill()
    stage.kill(relay)
    server.restart()
    stage.start_relay()
    stage.recovers()


def freeze_broker(stage: Stage) -> None:
    """SIGSTOP the broker for longer than heartbeats and lease."""
    stage.relay()
    server = broker(stage)
    server.freeze()
    time.sleep(14)  # the disturbance itself
    server.thaw()
    stage.recovers()


def freeze_relay(stage: Stage) -> None:
    """SIGSTOP the relay for longer than heartbeats and lease, while another stands by."""
    first = stage.relay()
    second = stage.start_relay()
    stage.pause(0.3)
    first.freeze()
    if stage.backend.standby_takes_over:
        stage.works_again()  # it is the second one that does
    else:
        time.sleep(5)  # the disturbance itself
    stage.pause(0.3)
    first.thaw()
    stage.load()
    stage.recovers()
    stage.terminate(first)
    stage.recovers()
    assert stage.relays == [second]


def two_relays(stage: Stage) -> None:
    """Start two at once, kill the older while the other stands by, or works; then this one."""
    while len(stage.relays) < 2:
        stage.start_relay()
    stage.relay()
    stage.kill(stage.relays[0])
    stage.load()
    stage.works_again()
    stage.pause(0.3)
    stage.kill(stage.relays[0])


def broker(stage: Stage) -> Server:
    """Return the stage's broker."""
    assert stage.backend.server is not None
    return stage.backend.server


DISTURBANCES = (
    Disturbance("kill relay", kill_relay, crashes=1),
    Disturbance("SIGTERM relay", terminate_relay),
    Disturbance("kill broker", kill_broker, BROKERS, broker_crashes=1),
    Disturbance("kill both", kill_both, BROKERS, broker_crashes=1),
    Disturbance("freeze broker", freeze_broker, BROKERS, crashes=1),
    # On SQLite a process that is stopped in the middle of a commit keeps everybody from writing.
    Disturbance("freeze relay", freeze_relay, database=PostgreSQLDatabase, crashes=2),
    Disturbance("two relays", two_relays, crashes=2),
)
