"""A parted exchange, read by processes that are killed in turn; so are the relay and the broker.

`python -m tests.chaos.parted --rounds 20` plays the long form on each backend.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import time
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import click
import mmh3
from rich.console import Console

from tests.chaos.databases import Database
from tests.chaos.oracle import Verdict, judge
from tests.chaos.parted_backends import PARTED, PARTITIONS, STANDBY, TYPES
from tests.chaos.process import Process
from tests.chaos.readers import Handled, handled, read
from tests.chaos.stage import Stage
from tests.servers import new_directory
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.chaos.parted_backends import Parted
    from tests.chaos.readers import Reader

KEYS = 200
PATIENCE = 240
SETTINGS = f'partition_by = "aggregate_id"\npartitions = {PARTITIONS}\n'


@dataclass(frozen=True)
class Outcome:
    """What an independent reader found in the partitions, and what the readers handled."""

    backend: str
    rounds: int
    kills: int
    arrived: Verdict
    handled: Verdict
    misaddressed: int
    """How many came with another partition, key or routing key than that of their event."""
    by_reader: Mapping[str, int]
    """How many each handled."""
    idle: Sequence[str]
    """Who handled nothing."""
    allowed: int
    """Duplicates in the partitions that the backend's promise allows."""

    @property
    def kept(self) -> bool:
        """Whether nothing was lost, no partition's order broken, and everybody had a share."""
        verdicts = (self.arrived, self.handled)
        return (
            not any(each.lost or each.unknown or each.reordered for each in verdicts)
            and self.arrived.duplicated <= self.allowed
            and not self.misaddressed
            and not self.idle
        )


class Stored(NamedTuple):
    """An event, as its row says."""

    type_name: str
    key: str | None

    @property
    def partition(self) -> int:
        """Its partition, by another implementation than ours."""
        return mmh3.hash(self.key.encode(), 104729, signed=False) % PARTITIONS if self.key else 0


class Play:
    """A relay, a broker, and readers, of which each can be killed and started anew."""

    def __init__(self, stage: Stage, backend: Parted) -> None:
        self.kills = 0
        self._stage = stage
        self._backend = backend
        self._folder = stage.folder
        self._readers = {name: self._start(each) for name, each in backend.readers.items()}

    def round(self) -> None:
        """Kill the relay, each reader in turn, and the broker, while thousands of events wait."""
        self._stage.load()
        self._stage.kill(self._stage.relay())
        self._stage.start_relay()
        waiting, before = set(self._readers), len(handled(self._folder))
        while waiting:
            self._stage.load()
            self._stage.relay()
            name = self._one_at_work(waiting, before)
            waiting.discard(name)
            self._kill(name)
        self.kills += 1 + len(self._readers)
        if self._backend.server is not None:
            self._stage.relay()
            self._backend.server.kill()
            self._backend.server.restart()
            self._stage.recovers()
            self.kills += 1

    def finish(self) -> Mapping[int, Stored]:
        """Wait until everything is handled, and return what was stored."""
        self._stage.finish()
        stored = _stored(self._folder)

        def missing() -> int:
            of_each = _by_subscriber(self._backend, handled(self._folder))
            return sum(
                len(_wanted(stored, subscriber) - {each.event_id for each in found})
                for subscriber, found in of_each.items()
            )

        eventually(lambda: not missing(), "all to be handled", PATIENCE)
        assert all(process.alive for process in self._readers.values()), "A reader ended."
        assert "Traceback" not in (said := (self._folder / "log").read_text()), said[-3000:]
        return stored

    def clear(self) -> None:
        """Leave no reader running."""
        for process in self._readers.values():
            process.kill()

    def _start(self, reader: Reader) -> Process:
        return Process(read, self._folder, reader)

    def _one_at_work(self, waiting: set[str], before: int) -> str:
        """Return, once there is one, who of ``waiting`` has handled something since ``before``.

        Whom the broker gives the messages to is its choice: one who is killed before that has had
        no share, and its death shows nothing.
        """
        found: set[str] = set()

        def look() -> set[str]:
            found.update(waiting & {each.reader for each in handled(self._folder)[before:]})
            return found

        eventually(look, f"one of {sorted(waiting)} to handle something", PATIENCE)
        return min(found)

    def _kill(self, name: str) -> None:
        """Kill that reader; start it again, once others do its work.

        Not before. It would ask for its partitions at once, and those who stand by do so now and
        then. So it might be given them again, each time.
        """
        at = len(handled(self._folder))
        assert self._readers[name].alive, f"{name} ended: {self._stage.log_end()}"
        self._readers[name].kill()
        for who, partitions in self._stand_ins(name).items():
            self._stage.load()
            self._wait_until_works(who, partitions, at)
        self._readers[name] = self._start(self._backend.readers[name])

    def _wait_until_works(self, who: str, partitions: Sequence[int], at: int) -> None:
        eventually(
            lambda: any(
                each.reader == who and each.partition in partitions
                for each in handled(self._folder)[at:]
            ),
            f"{who} to go on with one of the partitions {list(partitions)}",
            PATIENCE,
        )

    def _stand_ins(self, name: str) -> Mapping[str, Sequence[int]]:
        """Return who goes on in place of that reader, if others share its work by a plan."""
        readers = self._backend.readers
        if STANDBY not in readers:
            return {}
        if name == STANDBY:
            return {each.name: each.partitions for each in readers.values() if each.partitions}
        partitions = readers[name].partitions
        return {STANDBY: partitions} if partitions else {}


def play(backend_name: str, rounds: int, seed: int) -> Outcome:
    """Play so many rounds, then compare what arrived and was handled with what was stored."""
    with ExitStack() as stack:
        folder = new_directory()
        stack.callback(shutil.rmtree, folder)
        backend = PARTED[backend_name](folder)
        stack.callback(backend.stop)
        backend.start(None)
        stage = Stage(
            folder,
            backend,
            Database(folder),
            random.Random(seed),  # noqa: S311 - no secret
            exchange_settings=SETTINGS + backend.exchange_settings,
            keys=KEYS,
            types=TYPES,
        )
        stage.prepare()
        stack.callback(stage.clear)
        playing = Play(stage, backend)
        stack.callback(playing.clear)
        for _ in range(rounds):
            playing.round()
        stored = playing.finish()
        found = handled(folder)
        by_reader = Counter(each.reader for each in found)
        return Outcome(
            backend=backend.name,
            rounds=rounds,
            kills=playing.kills,
            arrived=_sum(_judged_partitions(backend, stored)),
            handled=_sum(_judged_subscribers(backend, stored, found)),
            misaddressed=sum(not _is_addressed(backend, stored, each) for each in found),
            by_reader=by_reader,
            idle=sorted(backend.readers.keys() - by_reader.keys()),
            allowed=rounds * (backend.republished + backend.republished_by_broker),
        )


def _stored(folder: Path) -> Mapping[int, Stored]:
    with closing(sqlite3.connect(folder / "events.db")) as database:
        rows: Sequence[tuple[int, str, str | None]] = database.execute(
            "SELECT event_id, type_name, aggregate_id FROM event ORDER BY event_id"
        ).fetchall()
        return {event_id: Stored(type_name, key) for event_id, type_name, key in rows}


def _wanted(stored: Mapping[int, Stored], subscriber: Reader) -> set[int]:
    """Return which events a subscriber gets: that with a routing key, those of the first type."""
    chosen = {TYPES[0]} if subscriber.routing_keys else None
    return {
        event_id for event_id, each in stored.items() if chosen is None or each.type_name in chosen
    }


def _by_subscriber(backend: Parted, found: Sequence[Handled]) -> Mapping[Reader, Sequence[Handled]]:
    """Return what each subscriber handled, by one of its readers."""
    first: dict[str | None, Reader] = {}
    of_each: dict[Reader, list[Handled]] = {}
    for reader in backend.readers.values():
        of_each.setdefault(first.setdefault(reader.subscriber, reader), [])
    for each in found:
        of_each[first[backend.readers[each.reader].subscriber]].append(each)
    return of_each


def _judged_partitions(backend: Parted, stored: Mapping[int, Stored]) -> Iterator[Verdict]:
    for number in range(PARTITIONS):
        wanted = [event_id for event_id, each in stored.items() if each.partition == number]
        yield judge(wanted, backend.partition(number, wanted))


def _judged_subscribers(
    backend: Parted, stored: Mapping[int, Stored], found: Sequence[Handled]
) -> Iterator[Verdict]:
    """Judge each partition by itself: the order of different ones is nobody's promise."""
    for subscriber, of_it in _by_subscriber(backend, found).items():
        wanted = sorted(_wanted(stored, subscriber))
        for number in range(PARTITIONS):
            yield judge(
                [event_id for event_id in wanted if stored[event_id].partition == number],
                [each.event_id for each in of_it if each.partition == number],
            )


def _is_addressed(backend: Parted, stored: Mapping[int, Stored], found: Handled) -> bool:
    event = stored.get(found.event_id)
    routed = not backend.exchange_settings or (event and found.routing_key == event.type_name)
    return bool(
        event and routed and (found.partition, found.key) == (event.partition, event.key or "-")
    )


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
@click.option("--backend", "backends", multiple=True, type=click.Choice(list(PARTED)))
@click.option("--seed", type=int, help="Repeat a run's random moments.")
def main(rounds: int, backends: tuple[str, ...], seed: int | None) -> None:
    """Play the rounds, and print what was found."""
    seed = int(time.time()) if seed is None else seed
    console = Console(soft_wrap=True)
    console.print(f"seed {seed}")
    outcomes = [play(name, rounds, seed) for name in backends or PARTED]
    for outcome in outcomes:
        console.print(str(outcome), markup=False)
    if not all(outcome.kept for outcome in outcomes):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
