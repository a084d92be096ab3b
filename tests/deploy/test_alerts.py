"""Each alert fires for what it is about, and resolves; by promtool, on made-up series."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.rendering import FOLDER, rendered
from tests.deploy.test_kubernetes import manifest
from tests.docs.pages import rows
from tests.docs.rights import PAGE
from tests.servers import Prometheus
from tests.servers.given import missing

METRICS = (Path(__file__).parents[2] / "plugins/prometheus/README.md").read_text(encoding="utf-8")
RULES = yaml.safe_load(rendered())
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}

UP = 'tidings_build_info{instance="a"}'
SECOND = 'tidings_exchange_state{exchange="x",instance="b",state="working"}'


def state(word: str) -> str:
    return f'tidings_exchange_state{{exchange="x",instance="a",state="{word}"}}'


def of(metric: str) -> str:
    return f'{metric}{{exchange="x",instance="a"}}'


# What is wrong for an hour, a sample a minute, and then mended: before, during, after.
WRONG = {
    "TidingsDown": {UP: "1x10 stale _x59 1x60"},
    "TidingsUnseen": {'up{job="tidings",instance="a"}': "1x10 0x60 1x60"},
    "TidingsStopped": {state("stopped"): "0x10 1x60 0x60"},
    "TidingsFailing": {state("failing"): "0x10 1x60 0x60"},
    "TidingsNobodyCarries": {of("tidings_lease_held"): "1x10 0x60 1x60"},
    "TidingsHeld": {of("tidings_hold_seconds"): "0x10 30+60x60 0x60"},
    "TidingsLate": {of("tidings_seconds_behind"): "0x10 30+60x60 0x60"},
    "TidingsFallsBehind": {of("tidings_events_behind"): "0x10 1000+100x60 0x60"},
    "TidingsQuarantine": {of("tidings_quarantined_events"): "0x10 2x60 0x60"},
    "TidingsStoreUnreadable": {of("tidings_event_store_readable"): "1x10 0x60 1x60"},
}


def test_both_files_are_what_the_program_writes() -> None:
    operator = FOLDER.parent / "kubernetes/monitoring/prometheus-rule.yaml"

    assert (FOLDER / "tidings.rules.yaml").read_text() == rendered()
    assert operator.read_text() == rendered("--operator")
    assert manifest("monitoring/prometheus-rule")["spec"] == RULES


def test_the_page_makes_them_with_other_numbers() -> None:
    (block,) = re.findall(r"```sh\n(python3 deploy/alerts/.*?)```", PAGE, re.DOTALL)
    commands = [line.partition(" > ") for line in block.splitlines()]

    for command, _, file in commands:
        made = rendered(*command.split()[2:])
        assert "tidings_seconds_behind) > 60" in made
        assert ("kind: PrometheusRule" in made) == (file == "prometheus-rule.yaml")


def test_prometheus_takes_the_pages_configuration(rules: Path) -> None:
    (block,) = re.findall(r"```yaml\n(rule_files.*?)```", PAGE, re.DOTALL)
    rules.with_name("prometheus.yml").write_text(block)
    rules.rename(rules.with_name(yaml.safe_load(block)["rule_files"][0]))

    found = subprocess.run(
        ["promtool", "check", "config", rules.with_name("prometheus.yml")],
        capture_output=True,
        text=True,
        check=False,
    )

    assert found.returncode == 0, found.stdout + found.stderr
    assert f"{len(ALERTS)} rules found" in found.stdout
    assert yaml.safe_load(block)["scrape_configs"][0]["job_name"] == "tidings"


def test_the_operators_table_names_every_alert_and_no_other() -> None:
    table = PAGE.partition("## What to watch")[2].partition("\n## ")[0]
    named = re.findall(r"`(Tidings\w+)`", " ".join(row[-1] for row in rows(table)))

    assert sorted(named) == sorted(ALERTS)


def test_every_number_can_be_another_one() -> None:
    numbers = {"wait": "7m", "hold-seconds": "71", "late-seconds": "72", "behind-events": "73"}
    numbers |= {"growing": "74m", "job": "relays"}

    made = rendered(*(f"--{name}={value}" for name, value in numbers.items()))

    assert [value for value in numbers.values() if value not in made] == []
    assert not re.search(r"\b(2m|60|300|1000|10m)\b", made)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("wait", ""),
        ("wait", "5"),
        ("wait", '5m"'),
        ("growing", "long"),
        ("hold-seconds", "60s"),
        ("late-seconds", "abc"),
        ("late-seconds", "-5"),
        ("behind-events", "1000\n"),
        ("job", 'a"} or vector(1) or up{job="b'),
        ("job", ""),
    ],
)
def test_a_number_that_is_none_is_refused(name: str, value: str) -> None:
    refused = subprocess.run(
        [sys.executable, FOLDER / "render.py", f"--{name}={value}"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (refused.returncode, refused.stdout) == (2, "")
    assert f"--{name}: {value!r} is no" in refused.stderr


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    if reason := Prometheus.available():
        missing(reason)
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(RULES))
    return file


def fires(rules: Path, alert: str, minute: int, series: dict[str, str]) -> bool:
    """Return whether the alert fires then."""
    test: dict[str, Any] = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": f"{minute}m", "alertname": alert, "exp_alerts": []}],
    }
    file = rules.with_name("test.yaml")
    file.write_text(yaml.safe_dump({"rule_files": [str(rules)], "tests": [test]}))
    found = subprocess.run(
        ["promtool", "test", "rules", file], capture_output=True, text=True, check=False
    )
    said = found.stdout + found.stderr
    assert found.returncode == 0 or f"alertname: {alert}" in said, said
    return found.returncode != 0


def test_prometheus_takes_the_rules(rules: Path) -> None:
    found = subprocess.run(
        ["promtool", "check", "rules", rules], capture_output=True, text=True, check=False
    )

    assert found.returncode == 0, found.stdout + found.stderr
    assert f"{len(ALERTS)} rules found" in found.stdout


def test_every_alert_is_tried_and_asks_for_metrics_that_there_are() -> None:
    asked = {name for rule in ALERTS.values() for name in re.findall(r"tidings_\w+", rule["expr"])}

    assert set(WRONG) == set(ALERTS)
    assert asked <= set(re.findall(r"^\| `(tidings_\w+)` \|", METRICS, re.MULTILINE))


@pytest.mark.parametrize("alert", WRONG)
def test_an_alert_fires_while_something_is_wrong_and_resolves(rules: Path, alert: str) -> None:
    before, during, after = (fires(rules, alert, at, WRONG[alert]) for at in (9, 60, 110))

    assert (before, during, after) == (False, True, False)


def test_a_relay_that_fails_beside_one_that_works_alarms_nobody(rules: Path) -> None:
    series = {state("failing"): "1x120", SECOND: "1x120"}

    assert not fires(rules, "TidingsFailing", 60, series)


def test_a_position_of_another_store_alarms_and_a_wait_that_is_meant_does_not(rules: Path) -> None:
    assert fires(rules, "TidingsFailing", 60, {state("mismatch"): "1x120"})
    assert not fires(rules, "TidingsFailing", 60, {state("waiting"): "1x120"})


def test_a_relay_that_fails_and_takes_the_lease_for_moments_is_not_nobody(rules: Path) -> None:
    series = {of("tidings_lease_held"): " ".join(["1 0x2"] * 5)}

    assert not fires(rules, "TidingsNobodyCarries", 15, series)
