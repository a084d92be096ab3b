"""Eight partitions read by processes that are killed in turn, and so is the relay.

Four processes read two partitions each, one stands by for all of them, and another subscriber asks
for some routing keys in each partition. What they did is judged by the file that all of them write.
"""

from __future__ import annotations

import json
import os
import random
import sys
import uuid
from collections import defaultdict
from contextlib import closing
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.activemq.client import Client, ids
from tests.servers.process import free_port, spawn
from tidings import Tidings, partition_of
from tidings.plugins import NewEvent
from tidings.testing import eventually

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping, Sequence

    from tests.servers.given import Broker

REPOSITORY = Path(__file__).parents[2]
PARTITIONS = 8
AGGREGATES = 40
TYPES = ("invoice.sent", "order.placed", "order.paid")
BACKENDS = {
    "activemq": """
        url = "{url}"
        routing = "topic"
        subscribers = {{ app = [], billing = ["invoice.#"], independent = [] }}
        heartbeat = 2
        """,
    "zeromq": """
        bind = "tcp://127.0.0.1:{port}"
        subscribers = ["app", "billing"]
        heartbeat = 0.5
        """,
}
READERS: Mapping[str, Mapping[str, object]] = {
    **{
        f"reader {number}": {"subscriber": "app", "partitions": [number, number + 4]}
        for number in range(4)
    },
    "standby": {"subscriber": "app"},
    "billing": {"subscriber": "billing", "routing_keys": ["invoice.#"]},
}

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]


class Effect(NamedTuple):
    subscriber: str
    partition: int
    event_id: int
    routing_key: str


class World:
    """A relay and its readers, each a process of its own."""

    def __init__(self, folder: Path, backend: str, url: str) -> None:
        self.exchange = f"shop-{uuid.uuid4().hex[:8]}"
        self.url = url
        self.sent = 0
        self._folder = folder
        self._effects = folder / "effects"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._configuration = folder / "tidings.toml"
        settings = BACKENDS[backend].format(url=url, port=free_port())
        self._configuration.write_text(
            f'[event_store]\nurl = "sqlite:///{folder}/events.db"\n'
            f'[exchanges.{self.exchange}]\nproducer = "{backend}"\n'
            f'routing_key = "{{type_name}}"\n'
            f'partition_by = "aggregate_id"\npartitions = {PARTITIONS}\n'
            f"[producers.{backend}]\n" + "\n".join(map(str.strip, settings.splitlines()))
        )
        self._tidings = Tidings.from_file(self._configuration)
        with closing(self._tidings.event_store()) as store:
            store.create()
        with self._tidings:
            self._tidings.tracker.create()

    def start(self, who: str) -> None:
        command = ["-m", "tidings", "--config", str(self._configuration), "run"]
        if who != "relay":
            files = [str(self._configuration), self.exchange, json.dumps(READERS[who])]
            command = ["-m", "tests.chaos.parted_consumer", *files, str(self._effects)]
        self._processes[who] = spawn(
            [sys.executable, *command],
            environment={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)},
            directory=self._folder,
            output=self._folder / f"{who}.output",
        )

    def kill(self, who: str) -> None:
        process = self._processes.pop(who)
        process.kill()
        process.wait()

    def end(self) -> None:
        for who in list(self._processes):
            self.kill(who)
        for output in self._folder.glob("*.output"):
            assert "Traceback" not in output.read_text(), output.read_text()

    def append(self, count: int) -> None:
        store = self._tidings.event_store()
        with store.transaction() as transaction:
            for number in range(self.sent + 1, self.sent + count + 1):
                aggregate = f"order-{number % AGGREGATES}"
                new = NewEvent(TYPES[number % 3], {"number": number}, aggregate_id=aggregate)
                store.append(transaction, new)
        store.close()
        self.sent += count

    def effects(self, subscriber: str) -> Sequence[Effect]:
        if not self._effects.exists():
            return []
        found = []
        for line in self._effects.read_text().splitlines():
            name, partition, event_id, key = line.split(" ")
            if name == subscriber:
                found.append(Effect(name, int(partition), int(event_id), key))
        return found

    def wait_for(self, subscriber: str, count: int) -> None:
        eventually(
            lambda: len({each.event_id for each in self.effects(subscriber)}) >= count,
            f"{subscriber} to have {count} events",
            120,
        )


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    backend: str = request.param
    broker: Broker | None = None
    if backend == "activemq":
        broker = request.getfixturevalue("activemq")
    world = World(tmp_path, backend, broker.url if broker else "")
    yield world
    world.end()


def check(effects: Sequence[Effect], expected: Sequence[int]) -> int:
    """See that nothing is lost, nothing else is there, and each key's events are in order.

    Return how many came again: those that had no acknowledgement when somebody was killed.
    """
    first: list[Effect] = []
    seen: set[int] = set()
    for each in effects:
        assert each.partition == partition_of(f"order-{each.event_id % AGGREGATES}", PARTITIONS)
        if each.event_id not in seen:
            seen.add(each.event_id)
            first.append(each)
    assert sorted(seen) == list(expected)
    of_partition: dict[int, list[int]] = defaultdict(list)
    for each in first:
        of_partition[each.partition].append(each.event_id)
    assert len(of_partition) == PARTITIONS
    for handled in of_partition.values():
        assert handled == sorted(handled)
    return len(effects) - len(first)


def look_into_queues(world: World) -> None:
    """See with another program's eyes that each partition's queue holds its events, in order."""
    expected = defaultdict(list)
    for event_id in range(1, world.sent + 1):
        partition = partition_of(f"order-{event_id % AGGREGATES}", PARTITIONS)
        expected[partition].append(event_id)
    for partition, wanted in expected.items():
        with Client(world.url) as client:
            queue = f"Consumer.independent.VirtualTopic.{world.exchange}.{partition}.>"
            assert ids(client.read_fast(queue, len(wanted))) == wanted
            assert client.frame(0.2) is None


def play(world: World, kills: int, together: int) -> None:
    """Kill one after the other in the middle of its work, and start it anew."""
    chance = random.Random(kills)  # noqa: S311 - moments, not secrets
    for who in ("relay", *READERS):
        world.start(who)
    victims = cycle(["reader 0", "reader 1", "standby", "relay", "reader 2", "billing", "reader 3"])
    for _ in range(kills):
        begun = world.sent
        world.append(together)
        world.wait_for("app", begun + chance.randrange(1, together))
        victim = next(victims)
        world.kill(victim)
        if victim.startswith("reader"):  # only who stands by can go on with its partitions
            world.wait_for("app", world.sent)
        world.start(victim)
    world.append(together)
    world.wait_for("app", world.sent)
    invoices = [each for each in range(1, world.sent + 1) if each % 3 == 0]
    world.wait_for("billing", len(invoices))

    again = check(world.effects("app"), range(1, world.sent + 1))
    again += check(world.effects("billing"), invoices)
    assert {each.routing_key for each in world.effects("billing")} == {"invoice.sent"}
    if world.url:
        look_into_queues(world)
    print(f"{kills} kills, {world.sent} events, none lost or out of order, {again} again")  # noqa: T201 - the figures of the docs


@pytest.mark.parametrize("world", BACKENDS, indirect=True)
def test_each_keys_order_is_kept_whoever_is_killed(world: World) -> None:
    play(world, kills=7, together=150)


@pytest.mark.chaos_long
@pytest.mark.parametrize("world", BACKENDS, indirect=True)
def test_each_keys_order_is_kept_whoever_is_killed_again_and_again(world: World) -> None:
    play(world, kills=70, together=400)
