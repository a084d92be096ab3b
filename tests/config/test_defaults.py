"""A default is one number: in a configuration, in parts that are made by hand, and on the pages."""

from __future__ import annotations

import inspect
import re
import tomllib
from dataclasses import fields
from pathlib import Path

from tidings.config.exchange import Exchange
from tidings.config.relay import RelaySettings
from tidings.relay.journal_writer import JournalBounds
from tidings.relay.route import Route
from tidings.relay.worker import Worker

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def test_parts_made_by_hand_have_the_defaults_of_a_configuration() -> None:
    relay, exchange = RelaySettings(), Exchange(producer="x")
    route = {each.name: each.default for each in fields(Route)}
    worker = inspect.signature(Worker).parameters

    assert route["lease_seconds"] == relay.lease_seconds
    assert route["batch_size"] == exchange.batch_size
    assert worker["poll_seconds"].default == relay.poll_seconds
    assert JournalBounds() == (relay.journal_entries, relay.journal_days)


def test_the_page_of_the_configuration_shows_each_default_of_the_relay() -> None:
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^\[relay\]\n.*?(?=^```|^\[)", page, re.MULTILINE | re.DOTALL)
    shown = RelaySettings.model_validate(tomllib.loads(block)["relay"])

    assert shown.model_fields_set == set(RelaySettings.model_fields)
    assert shown.model_copy(update={"http": None}) == RelaySettings()


def test_the_page_for_trouble_names_the_default_of_a_lease() -> None:
    page = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")

    assert re.findall(r"\(`lease_seconds`, (\d+) by default\)", page) == [
        f"{RelaySettings().lease_seconds:g}"
    ]


def test_the_configuration_that_init_writes_shows_the_default_of_a_batch() -> None:
    template = (ROOT / "core/tidings/cli/init_template.py").read_text(encoding="utf-8")

    assert re.findall(r"^# batch_size = (\d+)", template, re.MULTILINE) == [
        str(Exchange(producer="x").batch_size)
    ]
