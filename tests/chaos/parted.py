"""A parted exchange, read by consumer processes that are killed in turn.

`python -m tests.chaos.parted --rounds 20` plays the long form on each backend that parts.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import time
from collections import Counter, defaultdict
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click
import mmh3
from rich.console import Console
from typing_extensions import override

from tests.chaos.backends import EXCHANGE
from tests.chaos.backends.rabbitmq import RabbitMQBackend, RabbitMQStreamBackend
from tests.chaos.databases import Database
from tests.chaos.oracle import Verdict, judge
from tests.chaos.process import Process
from tests.chaos.stage import Stage
from tests.rabbitmq.client import Client
from tests.servers import new_directory
from tidings.bootstrap import Tidings
from tidings.errors import DeliveryError
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PARTITIONS = 8
CONSUMERS = 4
KEYS = 200
PATIENCE = 240
AUDIT = "audit"
SETTINGS = f'partition_by = "aggregate_id"\npartitions = {PARTITIONS}\n'


class PartedQueues(RabbitMQBackend):
    """Queues, and a second subscriber's for an independent reader.

    Quorum queues: in RabbitMQ 3.10 a classic queue with a single active consumer may crash when
    that one dies (its issue 5460). It is started again with what it had, but meanwhile the relay
    and the consumers fail, and more is republished than one crash of ours does.
    """

    shares = True

    @override
    def settings(self) -> str:
        arguments = '{ "x-queue-type" = "quorum" }'
        queues = f'queues = ["{EXCHANGE}", "{AUDIT}"]\nqueue_arguments = {arguments}\n'
        return super().settings() + queues

    def partition(self, number: int, _count: int) -> list[int]:
        """Return what arrived in one partition, as another program reads it."""
        with Client(self.server.url) as client:
            return client.ids(f"{AUDIT}.{number}")


class PartedStreams(RabbitMQStreamBackend):
    """A stream for each partition; the consumers are told which are theirs."""

    shares = False

    def partition(self, number: int, count: int) -> list[int]:
        """Return what arrived in one partition, as another program reads it."""
        name = f"{EXCHANGE}-{number}"
        with Client(self.server.url) as client:
            seen = client.stream(name, max(count, client.count(name)))
            return [each.event_id for each in seen]


BACKENDS: dict[str, type[PartedQueues | PartedStreams]] = {
    "rabbitmq": PartedQueues,
    "rabbitmq-stream": PartedStreams,
}


@dataclass(frozen=True)
class Outcome:
    """What an independent reader found in the partitions, and what the consumers handled."""

    backend: str
    rounds: int
    arrived: Verdict
    handled: Verdict
    by_consumer: dict[int, int]
    """How many each handled."""
    seconds: float
    allowed: int
    """Duplicates in the partitions that the backend's promise allows."""

    @property
    def kept(self) -> bool:
        """Whether nothing was lost, no key's order broken, and everybody had a share."""
        verdicts = (self.arrived, self.handled)
        return (
            not any(each.lost or each.unknown or each.reordered for each in verdicts)
            and self.arrived.duplicated <= self.allowed
            and len(self.by_consumer) == CONSUMERS
        )


def consume(folder: Path, number: int, partitions: Sequence[int]) -> None:
    """Handle what comes, and go on after each failure: note it in a file, then acknowledge."""
    os.chdir(folder)
    handled = os.open("handled", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    with Tidings.from_file("direct.toml", environ={}) as tidings:
        consumer = tidings.consumer(EXCHANGE, partitions=partitions)
        while True:
            try:
                consumer.open(EXCHANGE)
                while True:
                    message = consumer.receive(1.0)
                    if message is not None:
                        key = message.headers.get("aggregate_id", "-")
                        os.write(handled, f"{number} {message.message_id} {key}\n".encode())
                        consumer.acknowledge(message)
            except DeliveryError:
                consumer.close()
                time.sleep(0.2)  # as a service that is started again


def play(backend_name: str, rounds: int, seed: int) -> Outcome:
    """Kill the relay, the broker, and each consumer in turn, ``rounds`` times."""
    begun = time.monotonic()
    with ExitStack() as stack:
        folder = new_directory()
        stack.callback(shutil.rmtree, folder)
        backend = BACKENDS[backend_name](folder)
        stack.callback(backend.stop)
        backend.start(None)
        database = Database(folder)
        chance = random.Random(seed)  # noqa: S311 - no secret
        stage = Stage(folder, backend, database, chance, exchange_settings=SETTINGS, keys=KEYS)
        stage.prepare()
        stack.callback(stage.clear)

        def consumer(number: int) -> Process:
            those = () if backend.shares else range(number, PARTITIONS, CONSUMERS)
            return Process(consume, folder, number, those)

        (folder / "handled").touch()
        consumers = [consumer(number) for number in range(CONSUMERS)]
        stack.callback(_kill, consumers)
        for _ in range(rounds):
            stage.load()
            stage.kill(stage.relay())
            stage.start_relay()
            waiting, before = set(range(CONSUMERS)), len(_handled(folder))
            while waiting:
                stage.load()
                stage.relay()
                number = _one_at_work(folder, waiting, before)
                waiting.discard(number)
                consumers[number].kill()
                consumers[number] = consumer(number)
            stage.relay()
            backend.server.kill()
            backend.server.restart()
            stage.recovers()
        stage.finish()
        stored = dict(_stored(folder))
        eventually(lambda: _handled_ids(folder) >= stored.keys(), "all to be handled", PATIENCE)
        return Outcome(
            backend=backend.name,
            rounds=rounds,
            arrived=_sum(_judged_partitions(backend, stored)),
            handled=_sum(_judged_keys(folder, stored)),
            by_consumer=dict(Counter(number for number, _, _ in _handled(folder))),
            seconds=time.monotonic() - begun,
            allowed=rounds * (backend.republished + backend.republished_by_broker),
        )


def _one_at_work(folder: Path, waiting: set[int], before: int) -> int:
    """Return, once there is one, who of ``waiting`` has handled something since ``before``.

    Whom the broker gives the messages to is its choice: one who is killed before that has had no
    share, and its death shows nothing.
    """
    found: set[int] = set()

    def look() -> set[int]:
        found.update(waiting & {number for number, _, _ in _handled(folder)[before:]})
        return found

    eventually(look, "another consumer to handle something", PATIENCE)
    return min(found)


def _kill(processes: Sequence[Process]) -> None:
    for each in processes:
        each.kill()


def partition(key: str | None) -> int:
    """Return a key's partition, by another implementation than ours."""
    return mmh3.hash(key.encode(), 104729, signed=False) % PARTITIONS if key else 0


def _stored(folder: Path) -> Sequence[tuple[int, str | None]]:
    with closing(sqlite3.connect(folder / "events.db")) as database:
        rows: Sequence[tuple[int, str | None]] = database.execute(
            "SELECT event_id, aggregate_id FROM event ORDER BY event_id"
        ).fetchall()
        return rows


def _judged_partitions(
    backend: PartedQueues | PartedStreams, stored: dict[int, str | None]
) -> Iterator[Verdict]:
    for number in range(PARTITIONS):
        wanted = [each for each, key in stored.items() if partition(key) == number]
        yield judge(wanted, backend.partition(number, len(wanted)))


def _judged_keys(folder: Path, stored: dict[int, str | None]) -> Iterator[Verdict]:
    """Judge each key by itself: the order of different ones is nobody's promise."""
    wanted: defaultdict[str, list[int]] = defaultdict(list)
    found: defaultdict[str, list[int]] = defaultdict(list)
    for event_id, key in stored.items():
        wanted[key or "-"].append(event_id)
    for _, event_id, key in _handled(folder):
        found[key].append(event_id)
    for key in wanted.keys() | found.keys():
        yield judge(wanted[key], found[key])


def _handled(folder: Path) -> list[tuple[int, int, str]]:
    lines = [line.split() for line in (folder / "handled").read_text().splitlines()]
    return [(int(number), int(event_id), key) for number, event_id, key in lines]


def _handled_ids(folder: Path) -> set[int]:
    return {event_id for _, event_id, _ in _handled(folder)}


def _sum(verdicts: Iterator[Verdict]) -> Verdict:
    each = list(verdicts)
    return Verdict(
        sent=sum(one.sent for one in each),
        lost=sum(one.lost for one in each),
        duplicated=sum(one.duplicated for one in each),
        reordered=sum(one.reordered for one in each),
        longest_repeat=max(one.longest_repeat for one in each),
        unknown=sum(one.unknown for one in each),
    )


@click.command()
@click.option("--rounds", default=20, show_default=True, help="Rounds on each backend.")
@click.option("--backend", "backends", multiple=True, type=click.Choice(list(BACKENDS)))
@click.option("--seed", type=int, help="Repeat a run's random moments.")
def main(rounds: int, backends: tuple[str, ...], seed: int | None) -> None:
    """Play the rounds, and print what was found."""
    seed = int(time.time()) if seed is None else seed
    console = Console(soft_wrap=True)
    console.print(f"seed {seed}")
    outcomes = [play(name, rounds, seed) for name in backends or BACKENDS]
    for outcome in outcomes:
        console.print(str(outcome), markup=False)
    if not all(outcome.kept for outcome in outcomes):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
