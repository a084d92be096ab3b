"""A plugin's method that is none, or returns what nobody can use: the plugin is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.command import Project
from tidings import BrokenPluginError, Tidings
from tidings.testing import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.plugins.conftest import Site

PARTS = """
from tidings.builtin.json_serializer import JsonSerializer
from tidings.builtin.memory import InMemoryEventStore, InMemoryTracker

class Exchange(OpenExchange):
    newest = None

    def send(self, notifications):
        self.newest = notifications[-1].event_id

    def flush(self, timeout=None):
        pass

    def accepted_id(self):
        return self.newest

    def close(self):
        pass

class Producer(MessageProducer):
    def open_exchange(self, context):
        return Exchange()

class Store(InMemoryEventStore):
    pass

class Tracker(InMemoryTracker):
    pass

class Serializer(JsonSerializer):
    pass

class Watcher(Observer):
    pass

def offer(spec, make):
    return [spec(name="carrier-pigeon", settings=Own, factory=lambda settings: make())]

@hookimpl
def tidings_backends():
    return [producer("carrier-pigeon", producer=lambda settings: Producer())]

@hookimpl
def tidings_event_stores():
    return offer(EventStoreSpec, lambda: Store())

@hookimpl
def tidings_trackers():
    return offer(TrackerSpec, lambda: Tracker())

@hookimpl
def tidings_serializers():
    return offer(SerializerSpec, lambda: Serializer())

@hookimpl
def tidings_observers():
    return offer(ObserverSpec, lambda: Watcher())
"""

BROKEN = {
    "None": "def {0}(self, *_, **__):\n        return None",
    "text": "def {0}(self, *_, **__):\n        return 'nonsense'",
    "list": "def {0}(self, *_, **__):\n        return ['nonsense']",
    "property": "@property\n    def {0}(self):\n        return 'nonsense'",
    "raises": "@property\n    def {0}(self):\n        raise KeyError('no wind')",
    "coroutine": "async def {0}(self, *_, **__):\n        pass",
    "generator": "def {0}(self, *_, **__):\n        yield",
}
DATABASE = '[event_store]\nurl = "sqlite:///events.db"\n'
GOOD = '[exchanges.good]\nproducer = "jsonlines"\n'
PRODUCER = f'{DATABASE}[exchanges.bad]\nproducer = "carrier-pigeon"\n{GOOD}'
STORE = (
    f'{DATABASE}[sources.birds]\nbackend = "carrier-pigeon"\n'
    f'[exchanges.bad]\nproducer = "jsonlines"\nsource = "birds"\n{GOOD}'
)
TRACKER = (
    f'{DATABASE}[tracker]\nbackend = "carrier-pigeon"\n[exchanges.bad]\nproducer = "jsonlines"\n'
)
SERIALIZER = (
    f'{DATABASE}[exchanges.bad]\nproducer = "jsonlines"\nserializer = "carrier-pigeon"\n{GOOD}'
)
OBSERVER = f'{DATABASE}[observers.carrier-pigeon]\n[exchanges.bad]\nproducer = "jsonlines"\n{GOOD}'
TEXTS = {"Store": STORE, "Tracker": TRACKER, "Serializer": SERIALIZER, "Watcher": OBSERVER}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def broken(site: Site, project: Project, text: str, failing: str, fault: str) -> None:
    """Install the plugin with one method that is broken, and record an event."""
    project.configure(DATABASE)
    project.succeed("init", "--tables")
    project.append_numbers(1, 1)
    part, method = failing.split(".")
    body = f"class Failing({part}):\n    {BROKEN[fault].format(method)}\n\n{part} = Failing\n"
    site.install(PARTS + body)
    project.configure(text)


@pytest.mark.parametrize(
    ("failing", "fault", "said"),
    [
        ("Exchange.flush", "property", "producer|its flush is no method: str."),
        ("Exchange.flush", "raises", "producer|its flush is no method, and raised KeyError."),
        ("Exchange.flush", "coroutine", "producer|its flush is a coroutine or a generator, which"),
        ("Exchange.send", "generator", "producer|its send is a coroutine or a generator, which"),
        ("Exchange.accepted_id", "text", "producer|its accepted_id returned str; int | None is"),
        ("Exchange.unroutable_count", "None", "producer|its unroutable_count returned None; int"),
        (
            "Producer.open_exchange",
            "None",
            "producer|its open_exchange returned None; OpenExchange",
        ),
        ("Producer.open_exchange", "property", "producer|its open_exchange is no method: str."),
        ("Store.check", "property", "event store|its check is no method: str."),
        (
            "Store.all_stored_events_since",
            "None",
            "event store|its all_stored_events_since returned None; Sequence[StoredEvent] is",
        ),
        (
            "Store.all_stored_events_since",
            "list",
            "event store|its all_stored_events_since returned list of str; Sequence[Stored",
        ),
        ("Store.stored_event", "property", "event store|its stored_event is no method: str."),
        ("Tracker.acquire_lease", "None", "tracker|its acquire_lease returned None; Lease is"),
        ("Tracker.release_lease", "property", "tracker|its release_lease is no method: str."),
        ("Serializer.serialize", "text", "serializer|its serialize returned str; NotificationMess"),
        ("Serializer.serialize", "property", "serializer|its serialize is no method: str."),
        ("Watcher.published", "property", "observer|its published is no method: str."),
    ],
)
def test_spread_names_the_plugin(
    site: Site, project: Project, failing: str, fault: str, said: str
) -> None:
    broken(site, project, TEXTS.get(failing.partition(".")[0], PRODUCER), failing, fault)

    result = project.run("spread", "bad")

    kind, sentence = said.split("|", 1)
    assert f"The {kind} 'carrier-pigeon' (tidings-pigeon 1.2): {sentence}" in result.err
    assert "Traceback" not in result.err
    assert result.code == 1


@pytest.mark.parametrize("fault", ["None", "property"])
def test_check_tries_the_other_exchanges(site: Site, project: Project, fault: str) -> None:
    broken(site, project, PRODUCER, "Producer.open_exchange", fault)

    result = project.run("check")

    assert (
        "FAILED  exchange bad: The producer 'carrier-pigeon' (tidings-pigeon 1.2): " in result.out
    )
    assert "ok      exchange good: jsonlines" in result.out
    assert result.code == 1


def test_status_tells_of_the_other_exchanges(site: Site, project: Project) -> None:
    broken(site, project, STORE, "Store.check", "property")

    bad, good = project.status("bad"), project.status("good")

    assert bad["state"] == "failing"
    assert bad["problem"]["reason"].startswith("The event store 'carrier-pigeon' (tidings-pigeon")
    assert good["newest_event_id"] == 1


@pytest.mark.parametrize(
    ("failing", "fault"),
    [
        ("Exchange.flush", "property"),
        ("Exchange.accepted_id", "text"),
        ("Producer.open_exchange", "None"),
        ("Store.all_stored_events_since", "None"),
        ("Serializer.serialize", "text"),
    ],
)
def test_run_carries_the_other_exchanges(
    site: Site, project: Project, failing: str, fault: str
) -> None:
    broken(site, project, TEXTS.get(failing.partition(".")[0], PRODUCER), failing, fault)

    with project.running("run", PYTHONPATH=str(site.folder)) as relay:
        eventually(lambda: project.status("good")["last_published_id"] == 1, "event 1 on good", 60)
        relay.wait_for_log("'carrier-pigeon' (tidings-pigeon 1.2): its")
        assert "Traceback" not in relay.err


@pytest.mark.parametrize(
    "failing", ["Producer.open_exchange", "Serializer.serialize", "Store.check", "Watcher.idle"]
)
def test_run_refuses_to_begin_with_what_can_never_work(
    site: Site, project: Project, failing: str
) -> None:
    part, method = failing.split(".")
    broken(site, project, TEXTS.get(part, PRODUCER), failing, "property")

    result = project.run("run")

    assert f"'carrier-pigeon' (tidings-pigeon 1.2): its {method} is no method: str." in result.err
    assert "Traceback" not in result.err
    assert result.code == 1


def producer(site: Site, project: Project, keeping: str) -> Any:
    """Return a producer that opens what it keeps, and shows it."""
    site.install(
        f"{PARTS}\n{keeping}\n"
        "class Keeping(Producer):\n    kept = Exchange()\n"
        "    def open_exchange(self, context):\n        return self.kept\n\n"
        "Producer = Keeping\n"
    )
    project.configure(f'{DATABASE}[exchanges.bad]\nproducer = "carrier-pigeon"\n')
    return Tidings.from_file(project.folder / "tidings.toml", environ={}).producer("bad")


def test_what_is_opened_twice_is_looked_at_once(site: Site, project: Project) -> None:
    made = producer(site, project, "")

    first = made.open("bad").accepted_id
    made.close("bad")

    assert made.open("bad").accepted_id is first


def test_an_exchange_that_can_never_work_is_closed(site: Site, project: Project) -> None:
    closing = "class Exchange(Exchange):\n    flush = closed = None\n"
    made = producer(site, project, f"{closing}    def close(self):\n        self.closed = True\n")

    with pytest.raises(BrokenPluginError, match="its flush is no method: None"):
        made.open("bad")

    assert made.kept.closed
