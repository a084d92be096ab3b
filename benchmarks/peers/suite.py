"""The relay and each peer in turn, on the same servers, and the table that comes of it."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from tests.servers import PostgreSQL
from tests.servers.databases import create_database, drop_database

from benchmarks import servers, stored
from benchmarks.measuring import Spread, foreign, in_rounds, ratios
from benchmarks.peers import environments
from benchmarks.peers.brokers import STARTED, require
from benchmarks.peers.task import Task
from benchmarks.tables import show, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from benchmarks.measuring import Job, Sample
    from benchmarks.peers.brokers import Broker

Result = TypeVar("Result")

ROOT = Path(__file__).parents[2]
RELAY = "relay"
SLOWER = 10
"""A peer gets a tenth of the relay's events: it takes as long for them."""
COLUMNS = (
    *("", "confirms", "events", f"{RELAY} / this"),
    *("CPU µs/event", f"{RELAY}'s", "peak MB", f"{RELAY}'s"),
)


@dataclass(frozen=True)
class Peer:
    """Another library; the module of its name, with underscores, runs in its environment."""

    requirements: Sequence[str]
    """The oldest versions are those that were measured first."""
    broker: str = "rabbitmq"
    confirms: str = "yes"


PEERS = {
    "txoutbox": Peer(("txoutbox[postgres]~=0.2.2", "aio-pika~=10.2")),
    "faststream-outbox": Peer(("faststream-outbox[asyncpg]~=0.19.0", "faststream[rabbit]~=0.7.8")),
    "eventsourcing": Peer(
        ("eventsourcing[postgres]~=9.5.6", "psycopg[binary]~=3.3", "pika~=1.4"),
    ),
    "django-outbox-pattern": Peer(
        ("django-outbox-pattern~=3.2.1", "django~=5.2", "psycopg[binary]~=3.3"),
        broker="activemq",
        confirms="NO receipt",
    ),
}


class Servers(NamedTuple):
    """What the relay and a peer share."""

    database: str
    """The URL of the database server, in which peers get a database each time."""
    stored: str
    """The URL of the relay's database, filled."""
    broker: Broker


def run(names: Sequence[str], events: int, rounds: int) -> dict[str, str]:
    """Measure, and print a table; return the reasons of those that could not be measured."""
    failed: dict[str, str] = {}
    rows: dict[str, Sequence[str]] = {}
    made = dict(_each(names, failed, _environment))
    wanted = {PEERS[name].broker for name in made}
    if made:
        with servers.started(PostgreSQL) as database:
            url = database.new_database()
            stored.fill(url, events + stored.WARM_UP)
            for kind in (kind for kind in STARTED if kind in wanted):
                with STARTED[kind]() as broker:
                    shared = Servers(database.url, url, broker)
                    if rounds > 1:  # the broker's warm-up
                        in_rounds({RELAY: _relay(shared, events)}, 1, broker.delete)
                    here = [name for name in made if PEERS[name].broker == kind]
                    compare = partial(_row, made, shared, events, rounds)
                    rows.update(_each(here, failed, compare))
    rows |= {name: (name, "FAILED", *[""] * (len(COLUMNS) - 2)) for name in failed}
    title = f"peers: PostgreSQL, {stored.BODY_BYTES} bytes, {rounds} rounds"
    show(f"{title}, {events:,} events by the relay", COLUMNS, [rows[name] for name in names])
    return failed


def _environment(name: str) -> Path:
    return environments.made(name, PEERS[name].requirements, environments.KEPT)


def _row(
    made: Mapping[str, Path], shared: Servers, events: int, rounds: int, name: str
) -> Sequence[str]:
    fewer = max(events // SLOWER, 1)
    peer = partial(
        _carrying,
        python=environments.python(made[name]),
        module=f"{__package__}.{name.replace('-', '_')}",
        broker=shared.broker,
        server_url=shared.database,
        events=fewer,
    )
    jobs: dict[str, Job] = {RELAY: _relay(shared, events), name: peer}
    samples = in_rounds(jobs, rounds, shared.broker.delete)
    ours, theirs = samples[RELAY], samples[name]
    version = environments.version(made[name], name)
    return (
        *(f"{name} {version}", PEERS[name].confirms, f"{fewer:,}", spread(ratios(ours, theirs))),
        *(_cpu(theirs), _cpu(ours), _peak(theirs), _peak(ours)),
    )


def _each(
    names: Iterable[str], failed: dict[str, str], work: Callable[[str], Result]
) -> Iterator[tuple[str, Result]]:
    """Work on one after the other; put those that fail aside, with their reasons."""
    for name in names:
        try:
            yield name, work(name)
        except RuntimeError as error:
            failed[name] = str(error)


def _cpu(samples: Sequence[Sample]) -> str:
    return f"{Spread.of(sample.cpu_per_event * 1e6 for sample in samples).middle:.1f}"


def _peak(samples: Sequence[Sample]) -> str:
    return f"{max(sample.peak_bytes for sample in samples) / 2**20:.0f}"


def _relay(shared: Servers, events: int) -> Job:
    return partial(_relaying, broker=shared.broker, database_url=shared.stored, events=events)


@contextmanager
def _relaying(
    run: str, *, broker: Broker, database_url: str, events: int
) -> Iterator[Callable[[], int]]:
    """Relay every stored event; see that all of them came."""
    with stored.relaying(run, database_url, broker.producer, broker.settings) as work:
        yield work
    require(broker, run, events + stored.WARM_UP)


@contextmanager
def _carrying(
    run: str, *, python: Path, module: str, broker: Broker, server_url: str, events: int
) -> Iterator[Callable[[], Sample]]:
    """Let a peer store events in a database of its own and carry them; see that all came."""
    broker.prepare(run)
    database_url = create_database(server_url)
    task = Task(
        # Its client is each peer's own choice.
        database_url.replace("postgresql+psycopg:", "postgresql:"),
        broker.url,
        broker.destination(run),
        events,
        stored.WARM_UP,
        stored.BODY_BYTES,
    )
    environment = {**task.environment(), "PYTHONPATH": str(ROOT)}
    yield lambda: foreign([python, "-m", module], environment)
    require(broker, run, events + stored.WARM_UP)
    drop_database(server_url, database_url)
