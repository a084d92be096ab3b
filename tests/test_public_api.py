"""The names that people import: an addition is deliberate, a removal breaks somebody."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import tidings
import tidings.plugins
import tidings.sql
from tidings import errors

if TYPE_CHECKING:
    from pathlib import Path

APPLICATION = {
    "Inbox", "JsonSerializer", "NewEvent", "NotificationService", "Observers", "Pruned", "Route",
    "StoredEvent", "Tidings", "Worker", "partition_of", "prune", "record", "record_from",
}  # fmt: skip
INTERFACES = {
    "Capability", "EventStore", "Hold", "Journal", "JournalEntry", "Lease", "MessageConsumer",
    "MessageProducer", "Notification", "NotificationMessage", "Observer", "OpenExchange", "Pause",
    "Pauses", "Position",
    "PublishedMessageTracker", "Quarantine", "QuarantinedEvent", "ReceivedMessage", "Serializer",
    "Stop", "TrackedExchange",
}  # fmt: skip
IN_MEMORY = {
    "InMemoryBroker", "InMemoryEventStore", "InMemoryConsumer", "InMemoryProducer",
    "InMemoryTracker",
}  # fmt: skip
ERRORS = {
    "BrokenPluginError", "BrokerMismatchError", "BrokerRefusedError", "BrokerUnavailableError",
    "ConfigurationError", "DeliveryError", "EventStoreError", "ExchangeLockedError",
    "ExchangePausedError", "InvalidEventError", "LeaseError",
    "LeaseHeldError", "LeaseLostError", "MissingLibraryError", "NotAcceptedError",
    "NotYetStoredError", "OutputClosedError", "PluginError",
    "PositionMismatchError", "StoreNotReadyError", "StoreUnavailableError", "TidingsError",
    "UndeliverableEventError", "UnknownBackendError", "UnreadableEventError",
    "UnsafeStoreError",
}  # fmt: skip
FOR_AUTHORS = {
    "API", "Accepted", "AcceptedBatch", "BackendSpec", "BrokerRefusedError",
    "BrokerUnavailableError", "Capability", "DeliveryError", "EventStore", "EventStoreError",
    "EventStoreSpec", "ExchangeContext", "ExchangeLockedError", "ExchangeState", "Exposition",
    "Hold", "IdleRelay", "KeyPatterns", "Lease", "LeaseHeldError", "LeaseLostError", "MAX_EVENT_ID",
    "MessageConsumer", "MessageProducer", "NewEvent", "NotAcceptedError", "Notification",
    "NotificationMessage", "ObservedRelay", "Observer", "ObserverSpec", "OpenExchange", "Opening",
    "Position", "ProducerContext", "PublishedMessageTracker", "Quarantine", "QuarantinedEvent",
    "ReceivedMessage", "Serializer", "SerializerSpec", "Settings", "Standing", "Stop",
    "StoreNotReadyError", "StoreUnavailableError", "StoredEvent", "TrackedExchange", "TrackerSpec",
    "UndeliverableEventError", "UnreadableEventError", "Waited", "escaping_logger", "fingerprint",
    "fingerprint_of", "hookimpl", "partition_of", "state_after",
    "InvalidEventError", "Journal", "JournalEntry", "Pause", "Pauses", "UnsafeStoreError",
}  # fmt: skip


def test_the_names_for_applications_are_these() -> None:
    assert set(tidings.__all__) == APPLICATION | INTERFACES | IN_MEMORY | ERRORS


def test_the_names_for_authors_of_plugins_are_these() -> None:
    assert set(tidings.plugins.__all__) == FOR_AUTHORS


def test_every_error_that_tidings_raises_can_be_caught_by_name() -> None:
    there = {name for name, value in vars(errors).items() if isinstance(value, type)}

    assert there == ERRORS


@pytest.mark.parametrize("name", sorted(APPLICATION | INTERFACES | IN_MEMORY | ERRORS))
def test_each_name_leads_to_its_thing(name: str) -> None:
    value = getattr(tidings, name)

    home = importlib.import_module(value.__module__)
    assert getattr(home, name) is value
    assert name in dir(tidings)


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'tidings' has no attribute 'Tiding'"):
        tidings.Tiding  # type: ignore[attr-defined]  # noqa: B018 - that is the test


@pytest.mark.slow
def test_a_type_checker_sees_the_same_names(tmp_path: Path) -> None:
    names = sorted(APPLICATION | INTERFACES | IN_MEMORY | ERRORS)
    (tmp_path / "uses.py").write_text(
        "import tidings\n" + "".join(f"reveal_type(tidings.{name})\n" for name in names)
    )

    found = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", "uses.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert found.returncode == 0, found.stdout + found.stderr
    assert found.stdout.count("Revealed type") == len(names)
    assert 'Revealed type is "Any"' not in found.stdout
