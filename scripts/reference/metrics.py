"""docs/reference/metrics.md: the metrics of `tidings_prometheus`, and the alerts made of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from prometheus_client.parser import text_string_to_metric_families
from scripts.reference.docstrings import WRITTEN, in_a_cell

from tidings.plugins import AcceptedBatch, ObservedRelay, Standing
from tidings_prometheus.observer import PrometheusObserver
from tidings_prometheus.settings import PrometheusSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client import Metric

ALERTS = Path(__file__).parents[2] / "deploy" / "alerts" / "tidings.rules.yaml"

_FILLED_IN = re.compile(r"\{\{ (?:\$labels\.(\w+)|\$value[ \w|]*?) \}\}")

HEAD = """\
# Metrics and alerts

What a relay shows at `/metrics`, with the observer `prometheus`. How to read them, and what they
cost: [Prometheus](../../plugins/prometheus/README.md).

{written}

| metric | kind | labels | |
|---|---|---|---|"""

ALERTS_HEAD = """
## Alerts

As [deploy/alerts](../../deploy/README.md) has them; [What to watch](../operations.md#what-to-watch)
says how the limits are meant, and [If something is wrong](../operations.md#if-something-is-wrong)
what to do.

| alert | severity | after | says |
|---|---|---|---|"""


def page() -> str:
    """Return the whole page."""
    rows = sorted(_metrics(_every_family()))
    return "\n".join([HEAD.format(written=WRITTEN), *rows, ALERTS_HEAD, *_alerts(), ""])


def _every_family() -> Iterable[Metric]:
    """Let a relay have everything happen to it, and return what it then shows."""
    observer = PrometheusObserver(PrometheusSettings())
    standing = Standing(0, 0, 0, 0.0, 0)
    observer.attached(
        ObservedRelay({"x": "memory"}, lambda names: ((name, standing) for name in names), {"x": 1})
    )
    observer.started("x")
    observer.failed("x", ValueError(), 1.0)
    observer.spent("x", {"read": 1.0})
    observer.accepted("x", AcceptedBatch(1, 1, 0.1, 0.1, 0))
    shown = observer.exposition("text/plain")
    return text_string_to_metric_families(shown.body.decode())


def _metrics(families: Iterable[Metric]) -> Iterator[str]:
    for family in families:
        if family.name.startswith("tidings_"):
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            shown = ", ".join(f"`{label}`" for label in sorted(labels))
            yield f"| `{name}` | {family.type} | {shown} | {in_a_cell(family.documentation)} |"


def _alerts() -> Iterator[str]:
    (group,) = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]:
        yield _alert(rule)


def _alert(rule: dict[str, Any]) -> str:
    said = rule["annotations"]
    text = _FILLED_IN.sub(_word, f"{said['summary']} {said.get('description', '')}")
    after = rule.get("for", "at once")
    return f"| `{rule['alert']}` | {rule['labels']['severity']} | {after} | {in_a_cell(text)} |"


def _word(template: re.Match[str]) -> str:
    """Return what stands for what Prometheus fills in: EXCHANGE, INSTANCE, or N for a number."""
    return template[1].upper() if template[1] else "N"
