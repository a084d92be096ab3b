"""Nothing that a broker or a database is waited for makes a thread look stuck."""

from __future__ import annotations

import pytest
from sqlalchemy import make_url

from tidings.config import RelaySettings
from tidings.plugins.kinds import PRODUCER
from tidings.plugins.registry import PluginRegistry
from tidings.sql import driver


@pytest.mark.parametrize("name", ["rabbitmq", "rabbitmq-stream", "activemq", "zeromq"])
def test_a_producers_patience_ends_long_before_its_thread_is_taken_for_stuck(name: str) -> None:
    fields = PluginRegistry().spec(PRODUCER, name).settings.model_fields
    patience = {word: each.default for word, each in fields.items() if word.endswith("_timeout")}

    assert patience
    assert max(patience.values()) * 2 < RelaySettings().stuck_seconds


def test_a_drivers_patience_ends_before_its_thread_is_taken_for_stuck() -> None:
    _, arguments = driver.arguments(make_url("mysql+pymysql://db/shop"))

    assert 0 < arguments["read_timeout"] < RelaySettings().stuck_seconds
