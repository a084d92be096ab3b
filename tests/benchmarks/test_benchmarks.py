"""The benchmarks run, on every backend and database; how fast is not a test's business."""

from __future__ import annotations

import json
import re
import sys
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
from benchmarks import bodies
from benchmarks.__main__ import main
from benchmarks.measuring import Sample, Spread, foreign, in_rounds, measure, ratios
from benchmarks.wire.backends import BACKENDS
from click.testing import CliRunner

from tests.servers import ActiveMQ, MariaDB, PostgreSQL, RabbitMQ
from tests.servers.given import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow

NEEDED = {"activemq": ActiveMQ, "rabbitmq": RabbitMQ, "rabbitmq-stream": RabbitMQ, "zeromq": None}


def tables(*arguments: str) -> list[list[str]]:
    """Run a benchmark; return the rows of its tables, the headings among them."""
    outcome = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert outcome.exit_code == 0, outcome.output
    rows = [line for line in outcome.output.splitlines() if re.match(r"\|[^-]", line)]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


@pytest.mark.parametrize("backend", list(BACKENDS))
def test_the_relay_and_every_bare_client_get_all_their_events_accepted(backend: str) -> None:
    needs(NEEDED[backend])

    heading, relay, *others = tables(
        *("wire", "--backend", backend, "--database", "sqlite"), *("--events=400", "--rounds=1")
    )

    assert heading[1:4] == ["events/s", "from-to", "CPU µs/event"]
    assert relay[0] == "relay, sqlite"
    assert relay[5] == "", "nothing is compared with itself"
    assert len(others) >= 2
    absent = [row for row in others if not row[5]]
    assert [row[:2] for row in absent] in ([], [["librabbitmq (C)", "no librabbitmq"]])
    others = [row for row in others if row[5]]
    for row in (relay, *others):
        rate, cpu, peak = row[1], row[3], row[4]
        assert float(rate.replace(",", "")) > 0
        assert float(cpu) > 0
        assert float(peak) > 1, "megabytes of a process"
    for row in others:
        assert re.fullmatch(r"[\d.]+ \([\d.]+-[\d.]+\)", row[5])


@pytest.mark.parametrize("backend", list(BACKENDS))
def test_large_bodies_reach_the_broker_from_the_relay_and_from_the_bare_client(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs(NEEDED[backend])
    monkeypatch.setattr("benchmarks.bodies.SIZES", (1_000_000,))

    heading, row = tables("bodies", "--backend", backend, "--megabytes=25", "--rounds=1")

    assert heading[1:4] == ["events", "events/s", "MB/s"]
    assert row[:2] == ["1,000,000 bytes", "25"]
    assert float(row[3].replace(",", "")) > 0
    assert float(row[5]) > 10, "megabytes of a Python process"
    assert re.fullmatch(r"[\d.]+ \([\d.]+-[\d.]+\)", row[7])


def test_the_number_of_events_follows_from_their_size_within_limits() -> None:
    counts = [bodies.event_count(size, 50_000_000) for size in bodies.SIZES]

    assert counts == [50_000, 50_000, 5_000, 500, 50]
    assert bodies.event_count(1_000_000, 1_000_000) == bodies.FEWEST


def test_every_way_of_writing_is_compared_on_every_database() -> None:
    needs(PostgreSQL)
    needs(MariaDB)

    rows = tables("writing", "--rounds=2")

    named = [row[0] for row in rows if row[0]]
    assert named[: len(named) // 2] == named[len(named) // 2 :], "with one writer, and with eight"
    assert {name.partition(":")[0] for name in named} == {"sqlite", "postgresql", "mariadb"}
    assert sum("append /" in name for name in named) == 6
    assert sum("record /" in name for name in named) == 6
    assert named.count("postgresql: append with wake_up / append") == 2


def test_the_commands_are_timed_as_whole_processes() -> None:
    rows = tables("startup", "--rounds=1")

    milliseconds = {row[0]: float(row[1]) for row in rows[1:]}
    assert milliseconds["tidings status"] > milliseconds["python -c pass"] > 0


@contextmanager
def sleeping(run: str, *, seconds: float) -> Iterator[Callable[[], int]]:
    """Take long to prepare, then wait without using the CPU."""
    time.sleep(0.5)

    def work() -> int:
        time.sleep(seconds)
        return 10

    yield work


@contextmanager
def failing(run: str) -> Iterator[Callable[[], int]]:
    yield lambda: 1 // 0


def test_only_the_work_itself_is_timed_and_waiting_is_no_cpu() -> None:
    sample = measure(partial(sleeping, seconds=0.1), "run")

    assert sample.events == 10
    assert 0.1 <= sample.seconds < 0.5
    assert sample.cpu_seconds < 0.05
    assert sample.peak_bytes > 1_000_000


def test_a_run_that_fails_ends_the_benchmark_with_its_reason() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)run-x failed:.*ZeroDivisionError"):
        measure(failing, "run-x")


@contextmanager
def elsewhere(run: str, *, script: str) -> Iterator[Callable[[], Sample]]:
    """Leave the work to another Python."""
    yield lambda: foreign([sys.executable, "-c", script], {"RUN": run})


def test_what_a_foreign_process_says_it_took_is_its_sample_and_not_ours() -> None:
    took = Sample(events=7, seconds=2.5, cpu_seconds=1.5, peak_bytes=4096)
    said = json.dumps(took._asdict())
    script = f"import os; print('busy', os.environ['RUN']); print({said!r})"

    assert measure(partial(elsewhere, script=script), "run") == took


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("import sys; sys.exit('no broker')", "failed:\nno broker"),
        ("", "printed no sample"),
        ("print('ready')", "printed no sample: 'ready"),
        ("print('{}')", "printed no sample"),
    ],
)
def test_a_foreign_process_that_gives_no_sample_ends_the_benchmark(
    script: str, reason: str
) -> None:
    with pytest.raises(RuntimeError, match=reason):
        measure(partial(elsewhere, script=script), "run")


def test_runs_take_turns_and_have_names_of_their_own() -> None:
    ended: list[str] = []

    samples = in_rounds(
        {"a": partial(sleeping, seconds=0.01), "b": partial(sleeping, seconds=0.02)},
        2,
        ended.append,
    )

    assert {name: len(runs) for name, runs in samples.items()} == {"a": 2, "b": 2}
    assert len(set(ended)) == 4


def test_ratios_are_taken_within_a_round() -> None:
    def runs(*rates: int) -> list[Sample]:
        return [Sample(rate, 1.0, 1.0, 0) for rate in rates]

    # The machine was ten times slower in the second round, for both.
    assert ratios(runs(100, 10, 90), runs(200, 20, 100)) == Spread(0.5, 0.5, 0.9)


def needs(server: type[RabbitMQ | ActiveMQ | PostgreSQL | MariaDB] | None) -> None:
    if server is not None and (reason := server.available()):
        missing(reason)


def test_the_stages_of_an_event_add_up_to_all_of_it() -> None:
    heading, *rows = tables("stages", "--backend", "zeromq", "--events=2000", "--rounds=1")
    cpu = {name: float(value) for name, value in rows}
    *stages, alone, producer, everything = cpu.values()

    assert heading == ["", "CPU µs/event"]
    assert list(cpu)[-1] == "zeromq: all of it"
    assert min(cpu["reading from sqlite"], cpu["checking and serializing"], everything) > 0
    assert sum(stages) == pytest.approx(alone, abs=0.2)
    assert alone + producer == pytest.approx(everything, abs=0.2)


def test_an_observer_has_its_share_of_the_relays_cpu() -> None:
    heading, *rows = tables("observers", "--events=5000", "--rounds=1")
    shares = [float(row[3].rstrip("%")) for row in rows[1:]]

    assert heading == ["", "CPU µs/event", "with it / without", "in its calls alone"]
    assert [row[0] for row in rows] == ["no observer", "prometheus", "opentelemetry, no SDK"]
    assert all(0 < share < 50 for share in shares)


def test_one_command_runs_every_part(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def note(part: str) -> None:
        def run(*_: object, **__: object) -> dict[str, str]:
            ran.append(part)
            return {}

        monkeypatch.setattr(f"benchmarks.{part}.run", run)

    parts = ["wire.suite", "bodies", "writing", "startup", "latency", "growth", "exchanges"]
    for part in [*parts, "stages", "observers", "peers.suite"]:
        note(part)

    outcome = CliRunner().invoke(main, ["all"], catch_exceptions=False)

    assert outcome.exit_code == 0, outcome.output
    assert ran == [*parts, "stages", "observers", "peers.suite"]
    assert len(ran) == len(main.commands) - 1  # all but "all" itself
