"""A broker that is there and refuses."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from tests.chaos.backends import EXCHANGE, ActiveMQBackend, RabbitMQBackend
from tests.chaos.backends.rabbitmq import WINDOW
from tests.chaos.disturbances.disturbance import RABBITMQ, Disturbance
from tidings.testing import eventually

if TYPE_CHECKING:
    from tests.chaos.stage import Stage

REFUSING = 8.0
"""Seconds for which a broker refuses: longer than the timeouts."""


def raise_memory_alarm(stage: Stage) -> None:
    """Let RabbitMQ block publishers for want of memory."""
    stage.relay()
    server = _rabbitmq(stage).server
    server.ctl("set_vm_memory_high_watermark", "0.0001")
    stage.load()
    time.sleep(REFUSING)
    server.ctl("set_vm_memory_high_watermark", "0.4")
    stage.recovers()


def fill_queue(stage: Stage) -> None:
    """Let the queue reject what is published, until its limit is gone."""
    stage.relay()
    server = _rabbitmq(stage).server
    for length in (10_000_000, 1):  # a limit at once would be applied before "reject-publish" is
        limit = json.dumps({"max-length": length, "overflow": "reject-publish"})
        server.ctl("set_policy", "full", f"^{EXCHANGE}$", limit, "--apply-to", "queues")
    stage.load()
    time.sleep(REFUSING)
    server.ctl("clear_policy", "full")
    stage.recovers()


def take_permission(stage: Stage) -> None:
    """Take the user's permissions, and give them back."""
    stage.relay()
    server = _rabbitmq(stage).server
    server.ctl("set_permissions", "guest", "^$", "^$", "^$")
    stage.load()
    server.ctl("close_all_connections", "permissions were taken")
    time.sleep(REFUSING)
    server.ctl("set_permissions", "guest", ".*", ".*", ".*")
    stage.recovers()


def delete_exchange(stage: Stage) -> None:
    """Delete the exchange, and with it the bindings, under the relay."""
    with _rabbitmq(stage).channel() as channel:
        stage.relay()
        channel.exchange_delete(EXCHANGE)
    stage.recovers()


def unbind_queue(stage: Stage) -> None:
    """Leave no queue bound to the exchange."""
    with _rabbitmq(stage).channel() as channel:
        stage.relay()
        channel.queue_unbind(EXCHANGE, EXCHANGE)
    stage.recovers()


def fill_store(stage: Stage) -> None:
    """Let ActiveMQ's store run full, until its subscriber reads again."""
    backend = stage.backend
    assert isinstance(backend, ActiveMQBackend)
    stage.relay()

    def is_stuck() -> bool:
        at = stage.position()
        stage.load()
        time.sleep(2)  # much longer than a transaction takes
        return stage.position() == at

    eventually(is_stuck, "the store to be full", 120)
    time.sleep(REFUSING)
    files = backend.journal_files()
    backend.drain()
    # ActiveMQ frees what was read twice a minute.
    eventually(lambda: backend.journal_files() < files, "the store to be freed", 60)
    stage.recovers()


def _rabbitmq(stage: Stage) -> RabbitMQBackend:
    assert isinstance(stage.backend, RabbitMQBackend)
    return stage.backend


DISTURBANCES = (
    Disturbance("memory alarm", raise_memory_alarm, RABBITMQ, crashes=3),
    # What was in flight may find room behind what was refused: the plugin's page says so.
    Disturbance("queue full", fill_queue, RABBITMQ[:2], broker_crashes=1, reordered=WINDOW),
    Disturbance("no permission", take_permission, RABBITMQ, crashes=1),
    Disturbance("exchange deleted", delete_exchange, RABBITMQ[:2], crashes=1),
    # A tail is bound, so that RabbitMQ finds somebody for every message: the page says so, too.
    Disturbance("queue unbound", unbind_queue, RABBITMQ[:1], crashes=1),
    Disturbance("store full", fill_store, ("activemq",), options={"store_limit": "32 mb"}),
)
