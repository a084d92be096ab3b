"""Every query of the dashboard shows something, by a real Prometheus that scrapes a relay."""

from __future__ import annotations

import json
import math
import re
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.deploy.watched import PATIENCE
from tidings.testing import eventually

if TYPE_CHECKING:
    from tests.deploy.watched import Watched

pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[2]
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy/grafana/tidings.json").read_text())
PANELS = DASHBOARD["panels"]
QUERIES = {
    f"{panel['title']}, {target['refId']}": target["expr"]
    for panel in PANELS
    for target in panel.get("targets", [])
}
METRICS = re.findall(
    r"^\| `(tidings_\w+)` \|",
    (ROOT / "plugins/prometheus/README.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)
ONLY_IN_TROUBLE = ("ALERTS", "tidings_publish_failures_total")
"""What there is none of while all has always been well."""


def asked(query: str) -> str:
    """Return the query as Grafana asks it, with everything chosen."""
    for name, value in {"__rate_interval": "5s", "job": "tidings", "exchange": ".*"}.items():
        query = query.replace(f"${name}", value)
    assert "$" not in query
    return query


def empty(world: Watched, queries: dict[str, str]) -> list[str]:
    """Return the queries that show nothing now."""
    return [
        title
        for title, query in queries.items()
        if not any(map(math.isfinite, world.prometheus.query(asked(query)).values()))
    ]


def test_every_query_shows_something_of_a_relay_that_works_and_of_one_that_cannot(
    world: Watched,
) -> None:
    always = {
        title: query
        for title, query in QUERIES.items()
        if not any(name in query for name in ONLY_IN_TROUBLE)
    }

    def all_of(queries: dict[str, str]) -> bool:
        world.add("OrderPlaced", count=3)
        world.add("AuditMade", count=3)
        return empty(world, queries) == []

    with world.watched() as running:
        try:
            eventually(lambda: all_of(always), "every query to show something", PATIENCE)
            assert len(empty(world, QUERIES)) == len(QUERIES) - len(always)
            world.broker.kill()
            trouble = {title: query for title, query in QUERIES.items() if title not in always}
            eventually(lambda: all_of(trouble), "the others to do so", PATIENCE)
        except TimeoutError as error:
            pytest.fail(f"{error}: {empty(world, QUERIES)}")
        assert running.terminate() == 0


def test_what_can_be_chosen_is_there(world: Watched) -> None:
    queries = {
        each["name"]: re.fullmatch(r"label_values\((.*), (\w+)\)", each["query"]["query"])
        for each in DASHBOARD["templating"]["list"]
        if each["type"] == "query"
    }

    def chosen(name: str) -> set[str]:
        found = queries[name]
        assert found is not None
        metric, label = found.groups()
        shown = world.prometheus.query(f"count by ({label}) ({asked(metric)})")
        return {dict(labels)[label] for labels in shown if dict(labels)}

    assert set(queries) == {"job", "exchange"}
    world.broker.restart()
    with world.watched():
        eventually(lambda: chosen("exchange") == {"orders", "audit"}, "exchanges", PATIENCE)


def test_grafanas_own_model_of_a_dashboard_knows_every_field() -> None:
    register_default_plugins()
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(DASHBOARD)))

    assert list(lost(DASHBOARD, read)) == []


def test_a_field_that_is_none_of_grafanas_is_found() -> None:
    register_default_plugins()
    wrong = json.loads(json.dumps(DASHBOARD))
    wrong["panels"][1]["gridPosition"] = wrong["panels"][1].pop("gridPos")
    wrong["panels"][3]["fieldConfig"]["defaults"]["custom"]["fillOpaqueness"] = 10
    read = json.loads(JSONEncoder().encode(Dashboard.from_json(wrong)))

    assert len(list(lost(wrong, read))) == 2


def lost(given: Any, read: Any, place: str = "") -> Any:
    """Give what a model that has read it does not say again."""
    if isinstance(given, dict) and isinstance(read, dict):
        for key, value in given.items():
            if key in read:
                yield from lost(value, read[key], f"{place}/{key}")
            else:
                yield f"{place}/{key}"
    elif isinstance(given, list) and isinstance(read, list) and len(given) == len(read):
        for number, (one, other) in enumerate(zip(given, read, strict=True)):
            yield from lost(one, other, f"{place}/{number}")
    elif given != read:
        yield place


def test_every_metric_is_shown_and_each_is_one_of_ours() -> None:
    names = set(re.findall(r"tidings_\w+", " ".join(QUERIES.values())))

    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in names} == set(METRICS)


def test_every_query_is_of_what_was_chosen() -> None:
    for title, query in QUERIES.items():
        of_ours = re.findall(r"(?:tidings|process)_\w+(\{[^}]*\})", query)
        assert all('job=~"$job"' in each for each in of_ours), title
        assert len(of_ours) == len(re.findall(r"\b(?:tidings|process)_\w+", query)), title


def test_panels_have_a_place_of_their_own_and_a_number_and_say_what_they_show() -> None:
    cells = {panel["id"]: cells_of(panel["gridPos"]) for panel in PANELS}

    assert len(cells) == len(PANELS)
    assert not any(one & other for one, other in combinations(cells.values(), 2))
    assert all(panel.get("description") for panel in PANELS if panel["type"] != "row")


def cells_of(place: dict[str, int]) -> set[tuple[int, int]]:
    assert place["x"] + place["w"] <= 24
    return {
        (x, y)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    }
