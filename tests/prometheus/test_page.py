"""What the plugin's page says is so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from tests.prometheus.scraped import X, scrape
from tidings.plugins import AcceptedBatch, ObservedRelay, Standing
from tidings_prometheus.exchange import STATES
from tidings_prometheus.observer import PrometheusObserver
from tidings_prometheus.settings import PrometheusSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PAGE = (Path(__file__).parents[2] / "plugins/prometheus/README.md").read_text(encoding="utf-8")


def test_the_configuration_is_what_is_the_default() -> None:
    (block,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    settings = tomllib.loads(block)["observers"]["prometheus"]

    assert PrometheusSettings.model_validate(settings) == PrometheusSettings()


def test_the_table_names_every_metric_and_no_other() -> None:
    def look(names: Iterable[str]) -> Iterator[tuple[str, Standing]]:
        return ((name, Standing(0, 0, 0, 0.0, 0)) for name in names)

    observer = PrometheusObserver(PrometheusSettings())
    observer.attached(ObservedRelay({X: "memory"}, look, {X: 2000}))
    observer.started(X)
    observer.failed(X, ValueError(), 1.0)
    observer.spent(X, {"read": 1.0})
    observer.accepted(X, AcceptedBatch(1, 1, 0.1, 0.1, 0))
    shown = {re.sub(r"_(bucket|count|sum)$", "", name) for name in scrape(observer).names}

    assert set(re.findall(r"^\| `(tidings_\w+)` \|", PAGE, re.MULTILINE)) == shown


def test_the_table_names_every_state() -> None:
    (row,) = re.findall(r"^\| `tidings_exchange_state` \|.*$", PAGE, re.MULTILINE)

    assert re.findall(r"`([\w ]+)`", row)[2:] == list(STATES)
