"""A real Prometheus scrapes a relay that works on RabbitMQ, whose broker dies and comes back."""

from __future__ import annotations

import subprocess
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from tests.prometheus.scraped import X
from tests.prometheus.working import append, relaying
from tests.servers import Prometheus, free_port
from tests.servers.given import missing
from tidings import Tidings
from tidings.config.address import ListenAddress
from tidings.health.pages import metrics
from tidings.health.server import serving
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

    from tests.conftest import Factory
    from tests.servers import RabbitMQ

CONFIGURATION = """\
[event_store]
backend = "sqlalchemy"
url = "sqlite:///{folder}/events.db"
[exchanges.x]
producer = "rabbitmq"
[producers.rabbitmq]
url = "{url}"
[observers.prometheus]
"""


@contextmanager
def configured(folder: Path, url: str) -> Iterator[Tidings]:
    file = folder / "tidings.toml"
    file.write_text(CONFIGURATION.format(folder=folder, url=url))
    with Tidings.from_file(file, environ={}) as made:
        with closing(made.event_store()) as store:
            store.create()
        yield made


@contextmanager
def served(tidings: Tidings) -> Iterator[str]:
    """Serve what the observers show, as `tidings run` does; give where."""
    address = ListenAddress("127.0.0.1", free_port())
    with serving(address, {"/metrics": metrics(tidings.observers)}):
        yield str(address)


def test_prometheus_sees_a_broker_go_and_come_back(
    own_rabbitmq: Factory[RabbitMQ],
    own_prometheus: Factory[Prometheus],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tidings.relay.backoff.LONGEST_TRANSIENT", 0.2)
    broker = own_rabbitmq()
    with configured(tmp_path, broker.url) as tidings, served(tidings) as target, relaying(tidings):
        prometheus = own_prometheus(target=target)

        def shows(name: str, value: float, **labels: str) -> bool:
            chosen = ",".join(f'{key}="{each}"' for key, each in {"exchange": X, **labels}.items())
            return list(prometheus.query(f"{name}{{{chosen}}}").values()) == [value]

        def shows_idle(published: int) -> bool:
            return (
                shows("tidings_events_published_total", published, producer="rabbitmq")
                and shows("tidings_exchange_state", 1, state="idle")
                and shows("tidings_broker_connected", 1)
                and shows("tidings_window_size", 2000)
                and shows("tidings_events_behind", 0)
                and shows("tidings_seconds_behind", 0)
                and shows("tidings_send_to_accept_seconds_count", published)
            )

        append(tidings, 3)
        eventually(lambda: shows_idle(3), seconds=120)
        broker.kill()
        append(tidings, 2)
        eventually(lambda: shows("tidings_exchange_state", 1, state="failing"), seconds=120)
        eventually(lambda: shows("tidings_broker_connected", 0), seconds=120)
        eventually(lambda: shows("tidings_events_behind", 2), seconds=120)
        broker.start()
        eventually(lambda: shows_idle(5), seconds=120)

        states = "sum by (exchange) (tidings_exchange_state)"
        for extreme in ("min", "max"):
            found = prometheus.query(f"{extreme}_over_time({states}[5m:1s])")
            assert found == {(("exchange", X),): 1}, "one state at a time, at all times"


def test_promtool_finds_nothing_wrong_with_the_metrics(tmp_path: Path) -> None:
    if reason := Prometheus.available():
        missing(reason)
    with configured(tmp_path, "amqp://unused/") as tidings:
        append(tidings, 3)
        tidings.observers.started(X)
        tidings.observers.spent(X, {"read": 1.0})
        tidings.observers.failed(X, ValueError(), 1.0)
        shown = tidings.observers.exposition("")
    assert shown is not None

    found = subprocess.run(
        ["promtool", "check", "metrics"], input=shown.body, capture_output=True, check=False
    )

    assert (found.stdout + found.stderr).decode() == ""
    assert found.returncode == 0
