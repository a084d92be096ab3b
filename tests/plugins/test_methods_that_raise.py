"""A plugin's method that raises what no interface names: the plugin is named, the others go on."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from tests.command import Project
from tidings import Tidings
from tidings.blame import is_of_a_plugin, sentence_of
from tidings.sql.event_store import SqlAlchemyEventStore
from tidings.sql.settings import SqlAlchemySettings
from tidings.sql.tracker import SqlAlchemyTracker
from tidings.testing import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.plugins.conftest import Site

PLUGIN = "Plugin 'carrier-pigeon' (tidings-pigeon 1.2) failed in"

PARTS = """
from pydantic import SecretStr
from tidings.builtin.json_serializer import JsonSerializer
from tidings.builtin.memory import InMemoryConsumer, InMemoryEventStore, InMemoryTracker
from tidings.builtin.memory import InMemoryBroker

class Loft(Settings):
    key: SecretStr = SecretStr("s3cret")

def fails(*_, **__):
    raise KeyError("no wind for s3cret")

class Producer(InMemoryProducer):
    pass

class Consumer(InMemoryConsumer):
    pass

class Store(InMemoryEventStore):
    pass

class Tracker(InMemoryTracker):
    pass

class Serializer(JsonSerializer):
    pass

def offer(spec, make):
    return [spec(name="carrier-pigeon", settings=Loft, factory=make)]

@hookimpl
def tidings_backends():
    consumer = lambda s, name: Consumer(InMemoryBroker())
    return [
        producer(
            "carrier-pigeon", settings=Loft, producer=lambda s: Producer(), consumer=consumer
        )
    ]

@hookimpl
def tidings_event_stores():
    return offer(EventStoreSpec, lambda s: Store())

@hookimpl
def tidings_trackers():
    return offer(TrackerSpec, lambda s: Tracker())

@hookimpl
def tidings_serializers():
    return offer(SerializerSpec, lambda s: Serializer())
"""

DATABASE = '[event_store]\nurl = "sqlite:///events.db"\n'
GOOD = '[exchanges.good]\nproducer = "jsonlines"\n'


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def install(site: Site, failing: str) -> None:
    """Install the plugin, with one method of one part that fails."""
    part, method = failing.split(".")
    body = f"class Failing({part}):\n    def {method}(self, *_, **__):\n        fails()\n"
    body += f"{part} = Failing\n"
    site.install(PARTS + body)


def made(project: Project, text: str) -> None:
    project.configure(text)
    project.succeed("init", "--tables")


def expect_named(err: str, method: str) -> None:
    assert f"{PLUGIN} Failing.{method}: KeyError: 'no wind for **********'" in err
    assert "Traceback" not in err
    assert "s3cret" not in err


def test_check_names_the_plugin_and_tries_the_other_exchanges(site: Site, project: Project) -> None:
    install(site, "Producer.open_exchange")
    made(project, f'{DATABASE}[exchanges.bad]\nproducer = "carrier-pigeon"\n{GOOD}')

    result = project.run("check")

    lines = result.out.splitlines()
    assert [line[:20].split()[0] for line in lines] == ["ok", "ok", "ok", "FAILED", "ok"]
    assert lines[3].startswith(f"FAILED  exchange bad: {PLUGIN} Failing.open_exchange: KeyError: ")
    expect_named(result.out + result.err, "open_exchange")
    assert result.code == 1


def test_spread_names_the_plugin_and_debug_shows_where_it_failed(
    site: Site, project: Project
) -> None:
    install(site, "Producer.open_exchange")
    made(project, f'{DATABASE}[exchanges.bad]\nproducer = "carrier-pigeon"\n{GOOD}')

    result = project.run("spread", "bad")

    assert result.err.startswith(f"Error: {PLUGIN} Failing.open_exchange: ")
    expect_named(result.err, "open_exchange")
    assert result.code == 1
    assert "in open_exchange" in project.run("--debug", "spread", "bad").err


@pytest.mark.parametrize(
    ("method", "command"),
    [
        ("newest_event_id", "status"),
        ("check", "status"),
        ("check", "prune --keep 1"),
        ("count_stored_events_since", "replay good --all"),
        ("all_stored_events_since", "spread good"),
        ("newest_event_id", "check"),
    ],
)
def test_a_store_that_fails_is_named_by_every_command(
    site: Site, project: Project, method: str, command: str
) -> None:
    install(site, f"Store.{method}")
    project.configure(
        '[event_store]\nbackend = "carrier-pigeon"\n[tracker]\nbackend = "memory"\n' + GOOD
    )

    result = project.run(*command.split())

    expect_named(result.out + result.err, method)
    assert result.code == 1


@pytest.mark.parametrize("command", ["status", "quarantine list", "check", "init --tables"])
def test_a_tracker_that_fails_is_named_by_every_command(
    site: Site, project: Project, command: str
) -> None:
    methods = {"quarantine list": "quarantined_events", "init --tables": "create"}
    method = methods.get(command, "tracked_exchanges")
    install(site, f"Tracker.{method}")
    project.configure(f'{DATABASE}[tracker]\nbackend = "carrier-pigeon"\n{GOOD}')

    result = project.run(*command.split())

    expect_named(result.out + result.err, method)
    assert result.code == 1


def test_a_consumer_that_fails_is_named(site: Site, project: Project) -> None:
    install(site, "Consumer.receive")
    made(project, f'{DATABASE}[exchanges.bad]\nproducer = "carrier-pigeon"\n')

    result = project.run("listen", "--timeout", "1")

    expect_named(result.err, "receive")
    assert result.code == 1


def test_a_serializer_that_fails_is_named_with_the_event(site: Site, project: Project) -> None:
    install(site, "Serializer.serialize")
    made(project, f'{DATABASE}{GOOD}serializer = "carrier-pigeon"\n')
    project.append_numbers(1, 1)

    result = project.run("spread")

    assert "Exchange 'good': event 1 (Numbered) cannot be serialized: Plugin" in result.err
    expect_named(result.err, "serialize")


def test_a_producer_that_cannot_let_go_is_named_and_its_event_is_sent(
    site: Site, project: Project
) -> None:
    install(site, "Producer.close")
    made(project, f'{DATABASE}[exchanges.bad]\nproducer = "carrier-pigeon"\n')
    project.append_numbers(1, 1)

    result = project.run("spread")

    expect_named(result.out + result.err, "close")
    assert "bad: could not let go of everything. Plugin" in result.out + result.err
    assert "1 notification(s) sent!" in result.out + result.err
    assert "in fails" in project.run("--debug", "spread").err


def test_run_names_the_plugin_and_carries_the_other_exchanges(site: Site, project: Project) -> None:
    install(site, "Producer.open_exchange")
    made(project, f'{DATABASE}[exchanges.bad]\nproducer = "carrier-pigeon"\n{GOOD}')
    project.append_numbers(1, 1)

    with project.running("run", PYTHONPATH=str(site.folder)) as relay:
        relay.wait_for_log(
            f"bad: {PLUGIN} Failing.open_exchange: KeyError: 'no wind for **********'"
        )
        eventually(lambda: project.status("good")["last_published_id"] == 1, "event 1 on good", 60)
        expect_named(relay.err, "open_exchange")


def test_a_fault_of_our_own_is_laid_to_no_plugin(site: Site, tmp_path: Path) -> None:
    install(site, "Producer.open_exchange")
    path = tmp_path / "tidings.toml"
    path.write_text(f'{DATABASE}[exchanges.bad]\nproducer = "carrier-pigeon"\n')
    producer = Tidings.from_file(path, environ={}).producer("bad")

    with pytest.raises(RuntimeError) as ours:
        producer.flush("bad")
    with pytest.raises(KeyError) as theirs:
        producer.open("bad")

    assert (is_of_a_plugin(ours.value), is_of_a_plugin(theirs.value)) == (False, True)
    assert sentence_of(ours.value).startswith("RuntimeError: Exchange 'bad' is not open")


def test_a_retry_of_all_goes_on_with_the_other_exchanges(site: Site, project: Project) -> None:
    install(site, "Producer.open_exchange")
    refused = 'events = ["*"]\non_poison = "quarantine"\n'
    project.configure(
        f'{DATABASE}[exchanges.bad]\nproducer = "jsonlines"\n{refused}{GOOD}{refused}'
    )
    project.succeed("init", "--tables")
    quarantined(project, "bad", "good")
    project.configure(
        f'{DATABASE}[exchanges.bad]\nproducer = "carrier-pigeon"\n{refused}{GOOD}{refused}'
    )

    result = project.run("quarantine", "retry")

    assert f"Error: exchange 'bad': {PLUGIN} Failing.open_exchange: KeyError" in result.err
    assert "Event 1 of exchange 'good' is sent." in result.out + result.err
    assert result.code == 1


def test_status_tells_of_exchanges_beside_one_whose_source_fails(
    site: Site, project: Project
) -> None:
    install(site, "Store.check")
    made(project, DATABASE)
    project.configure(
        f'{DATABASE}[sources.birds]\nbackend = "carrier-pigeon"\n'
        f'[exchanges.bad]\nproducer = "jsonlines"\nsource = "birds"\n{GOOD}'
    )
    project.append_numbers(1, 1)

    bad, good = project.status("bad"), project.status("good")

    assert bad["state"] == "failing"
    assert bad["problem"]["reason"].startswith(f"{PLUGIN} Failing.check: KeyError")
    assert (good["state"], good["newest_event_id"]) == ("no relay", 1)
    assert project.run("status", "--fail").code == 1


def quarantined(project: Project, *exchanges: str) -> None:
    """Put event 1 into the quarantine of each exchange."""
    project.append_numbers(1, 1)
    settings = SqlAlchemySettings(url=SecretStr(f"sqlite:///{project.folder}/events.db"))
    with (
        closing(SqlAlchemyEventStore(settings)) as store,
        closing(SqlAlchemyTracker(settings)) as tracker,
    ):
        (event,) = store.all_stored_events_since(0, 1)
        for name in exchanges:
            lease = tracker.acquire_lease(name, "test", 60)
            tracker.quarantine(name, event, "refused", lease)
            tracker.release_lease(lease)
