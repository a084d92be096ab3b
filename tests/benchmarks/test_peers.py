"""The relay and other libraries are compared by work that was done, or not at all."""

from __future__ import annotations

import re
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pika
import pytest
from benchmarks.__main__ import main
from benchmarks.measuring import measure
from benchmarks.peers import brokers, environments, suite
from benchmarks.wire import amqp
from benchmarks.wire.stomp_client import Session
from click.testing import CliRunner

from tests.servers import PostgreSQL, RabbitMQ
from tests.servers.given import missing
from tidings_activemq.frames import frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers.given import Broker

pytestmark = pytest.mark.slow

LIGHTEST = "eventsourcing"
RATIO = r"\d+\.\d\d \(\d+\.\d\d-\d+\.\d\d\)"


def test_a_peer_in_its_own_environment_is_compared_with_the_relay() -> None:
    for server in (PostgreSQL, RabbitMQ):
        if reason := server.available():
            missing(reason)

    outcome = CliRunner().invoke(
        main, ["peers", "--peer", LIGHTEST, "--events=300", "--rounds=1"], catch_exceptions=False
    )

    assert outcome.exit_code == 0, outcome.output
    (row,) = rows(outcome.output)
    assert re.fullmatch(LIGHTEST + r" \d+\.\d+\.\d+", row[0]), "which version was measured"
    assert row[1:3] == ["yes", "30"]
    assert re.fullmatch(RATIO, row[3])
    assert all(float(figure) > 0 for figure in row[4:])


def test_a_peer_that_cannot_be_installed_is_a_line_of_the_table_and_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = str(tmp_path / "nowhere")
    monkeypatch.setattr(environments, "KEPT", tmp_path)
    monkeypatch.setitem(suite.PEERS, LIGHTEST, suite.Peer((nowhere,)))

    outcome = CliRunner().invoke(main, ["peers", "--peer", LIGHTEST])

    assert outcome.exit_code == 1
    (row,) = rows(outcome.output)
    assert row == [LIGHTEST, "FAILED", *[""] * 6]
    assert f"Error: {LIGHTEST} has no figures. {LIGHTEST} could not be installed." in outcome.output
    assert nowhere in outcome.output, "pip's own words"
    assert list(tmp_path.iterdir()) == []


def test_an_environment_is_kept_until_something_else_is_required(tmp_path: Path) -> None:
    first, second = wheel(tmp_path, "1.0"), wheel(tmp_path, "2.0")
    kept = tmp_path / "kept"

    made = environments.made("peer", [first], kept)
    Path(first).unlink()

    assert environments.version(made, "peer") == "1.0"
    assert environments.made("peer", [first], kept) == made, "and not installed again"
    assert environments.version(environments.made("peer", [second], kept), "peer") == "2.0"


def test_an_installation_that_failed_is_tried_again(tmp_path: Path) -> None:
    requirement = str(tmp_path / "peer-1.0-py3-none-any.whl")
    with pytest.raises(RuntimeError, match=r"peer could not be installed(?s:.*)peer-1\.0"):
        environments.made("peer", [requirement], tmp_path / "kept")
    assert list((tmp_path / "kept").iterdir()) == []

    made = environments.made("peer", [wheel(tmp_path, "1.0")], tmp_path / "kept")

    assert environments.version(made, "peer") == "1.0"


@pytest.mark.parametrize("published", [2, 4])
def test_a_run_counts_only_where_exactly_its_events_came_to_rabbitmq(
    published: int, rabbitmq: Broker
) -> None:
    broker, run = brokers.RabbitMQ(rabbitmq.url), f"peers-{published}"
    broker.prepare(run)
    try:
        with pika.BlockingConnection(pika.URLParameters(rabbitmq.url)) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            for _ in range(published):
                channel.basic_publish(broker.destination(run), "", b"{}", mandatory=True)

        brokers.require(broker, run, published)
        with pytest.raises(RuntimeError, match=f"Of 3 events {published} came"):
            brokers.require(broker, run, 3)
    finally:
        amqp.delete(rabbitmq.url, run)


@pytest.mark.parametrize("published", [2, 4])
def test_a_run_counts_only_where_exactly_its_events_came_to_activemq(
    published: int, activemq: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brokers, "PATIENCE", 1.0)
    broker, run = brokers.ActiveMQ(activemq.url), f"peers-{published}"
    broker.prepare(run)
    session = Session(activemq.url)
    for number in range(published):
        headers = {"destination": broker.destination(run), "receipt": str(number)}
        session.write(frame("SEND", headers, b"{}"))
        session.receive(b"RECEIPT")
    session.close()

    with pytest.raises(RuntimeError, match=f"Of 3 events {published} came"):
        brokers.require(broker, run, 3)
    brokers.require(broker, run, 0)


@contextmanager
def coming_short(run: str) -> Iterator[Callable[[], int]]:
    yield lambda: 3
    raise RuntimeError("Of 3 events 2 came")


def test_a_run_that_is_found_short_afterwards_has_no_figures() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)run-x failed:.*Of 3 events 2 came"):
        measure(coming_short, "run-x")


def rows(output: str) -> list[list[str]]:
    """Return the cells of the table, without its headings."""
    lines = [line for line in output.splitlines() if re.match(r"\|[^-]", line)]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def wheel(folder: Path, version: str) -> str:
    """Make a wheel of a distribution that holds nothing."""
    path, info = folder / f"peer-{version}-py3-none-any.whl", f"peer-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: peer\nVersion: {version}\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
    return str(path)
