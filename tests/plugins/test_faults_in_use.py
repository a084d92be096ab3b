"""A plugin that fails while it is used is named, and stops nothing that does not use it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from tidings import BrokenPluginError, ConfigurationError, NewEvent, Tidings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.plugins.conftest import Site

WHAT = "The producer 'carrier-pigeon' (tidings-pigeon 1.2)"


def configured(tmp_path: Path, more: str = "") -> Tidings:
    path = tmp_path / "tidings.toml"
    path.write_text(
        '[event_store]\nbackend = "memory"\n'
        '[exchanges.good]\nproducer = "memory"\n'
        '[exchanges.bad]\nproducer = "carrier-pigeon"\n'
        f"[producers.carrier-pigeon]\n{more}"
    )
    return Tidings.from_file(path, environ={})


def one_event(tidings: Tidings) -> None:
    store = tidings.event_store()
    with store.transaction() as transaction:
        store.append(transaction, NewEvent("OrderPlaced", {}))


def refusal(tidings: Tidings) -> str:
    """Return why the plugin's exchange doesn't work, while the other one does."""
    one_event(tidings)
    assert tidings.notification_service("good").publish_notifications("good") == 1
    with pytest.raises(BrokenPluginError) as caught:
        tidings.notification_service("bad")
    return str(caught.value)


def test_a_factory_that_raises_is_named_with_the_cause(site: Site, tmp_path: Path) -> None:
    site.install("""
        def factory(settings):
            raise RuntimeError("no wind")

        @hookimpl
        def tidings_backends():
            return [producer("carrier-pigeon", producer=factory)]
    """)

    assert refusal(configured(tmp_path)) == f"{WHAT} could not be made: RuntimeError: no wind"


@pytest.mark.parametrize(
    ("place", "cause"),
    [
        ("no.such_module:Producer", "ModuleNotFoundError: No module named 'no'"),
        ("tidings.builtin.memory:Producer", "AttributeError: module 'tidings.builtin.memory' has "),
    ],
)
def test_a_factory_that_cannot_be_imported_is_named_with_its_place(
    site: Site, tmp_path: Path, place: str, cause: str
) -> None:
    site.install(f"""
        @hookimpl
        def tidings_backends():
            return [producer("carrier-pigeon", producer="{place}")]
    """)

    said = refusal(configured(tmp_path))
    assert said.startswith(f"{WHAT}: its factory {place!r} cannot be imported: {cause}")


@pytest.mark.parametrize("field", ["producer", "consumer"])
def test_a_factory_is_text_of_one_form(site: Site, tmp_path: Path, field: str) -> None:
    site.install(f"""
        @hookimpl
        def tidings_backends():
            return [producer("carrier-pigeon", {field}="pigeon.Pigeon")]
    """)

    with pytest.raises(ConfigurationError) as caught:
        configured(tmp_path)
    assert (
        f"(tidings-pigeon 1.2): the {field} of 'carrier-pigeon' is the text 'pigeon.Pigeon'; "
        '"module:name" is wanted, or a function.'
    ) in str(caught.value)


def test_a_factory_may_be_text_and_is_imported_when_it_is_called(
    site: Site, tmp_path: Path
) -> None:
    site.install("""
        @hookimpl
        def tidings_backends():
            place = "tidings.builtin.memory.of_this_process:producer"
            return [producer("carrier-pigeon", producer=place)]
    """)

    assert configured(tmp_path).producer("bad").open("bad").accepted_id() is None


def test_a_factory_that_wants_the_context_is_given_it(site: Site, tmp_path: Path) -> None:
    site.install("""
        class Pigeon(InMemoryProducer):
            def __init__(self, settings, context):
                super().__init__()
                self.events = context.notifications_since("bad", 0, 10)

        @hookimpl
        def tidings_backends():
            return [producer("carrier-pigeon", producer=Pigeon, wants_context=True)]
    """)

    assert vars(configured(tmp_path).producer("bad"))["events"] == []


def test_a_factory_that_shows_a_secret_is_silenced(site: Site, tmp_path: Path) -> None:
    site.install("""
        from pydantic import SecretStr

        class Secret(Settings):
            url: SecretStr
            keys: list[SecretStr]

        def factory(settings):
            raise RuntimeError(f"{settings.url.get_secret_value()} p%77 pw two")

        @hookimpl
        def tidings_backends():
            return [producer("carrier-pigeon", settings=Secret, producer=factory)]
    """)

    tidings = configured(tmp_path, 'url = "bird://me:p%77@host/"\nkeys = ["one", "two"]')

    assert refusal(tidings) == (
        f"{WHAT} could not be made: RuntimeError: ********** ********** ********** **********"
    )


@pytest.mark.parametrize("made", ["None", "42", "object()", "InMemoryProducer"])
def test_a_factory_that_returns_rubbish_is_told_what_is_wanted(
    site: Site, tmp_path: Path, made: str
) -> None:
    site.install(f"""
        @hookimpl
        def tidings_backends():
            return [producer("carrier-pigeon", producer=lambda s: {made})]
    """)

    said = refusal(configured(tmp_path))

    assert said.startswith(f"{WHAT}: its factory returned ")
    assert said.endswith("a tidings.plugins.MessageProducer is wanted.")


@pytest.mark.parametrize("found", ["1 / 0", "3", "['fly']", "frozenset({'fly'})"])
def test_broken_capabilities_are_named(site: Site, tmp_path: Path, found: str) -> None:
    site.install(f"""
        class Pigeon(InMemoryProducer):
            @property
            def capabilities(self):
                return {found}

        @hookimpl
        def tidings_backends():
            return [producer("carrier-pigeon", producer=lambda s: Pigeon())]
    """)

    assert refusal(configured(tmp_path)).startswith(f"{WHAT} has broken capabilities: ")


def test_broken_capabilities_of_a_tracker_are_named(site: Site, tmp_path: Path) -> None:
    site.install("""
        from tidings.builtin.memory import InMemoryTracker

        class Pigeon(InMemoryTracker):
            capabilities = {Capability.NOTES}

        @hookimpl
        def tidings_trackers():
            spec = TrackerSpec(name="carrier-pigeon", settings=Own, factory=lambda s: Pigeon())
            return [spec]
    """)
    file = tmp_path / "tidings.toml"
    file.write_text('[event_store]\nbackend = "memory"\n[tracker]\nbackend = "carrier-pigeon"\n')

    with pytest.raises(BrokenPluginError, match=r"carrier-pigeon.*has broken capabilities: "):
        _ = Tidings.from_file(file).tracker


def test_a_store_without_a_tracker_of_its_own_is_told_to_name_one(
    site: Site, tmp_path: Path
) -> None:
    site.install("""
        from tidings.builtin.memory import InMemoryEventStore

        @hookimpl
        def tidings_event_stores():
            make = lambda s: InMemoryEventStore()
            return [EventStoreSpec(name="carrier-pigeon", settings=Own, factory=make)]
    """)
    file = tmp_path / "tidings.toml"
    file.write_text('[event_store]\nbackend = "carrier-pigeon"\n')

    with pytest.raises(ConfigurationError) as caught:
        Tidings.from_file(file, environ={})

    (problem,) = caught.value.problems
    assert "(tidings-pigeon 1.2) offers no tracker 'carrier-pigeon'" in problem
    assert problem.endswith('add [tracker] with a backend that can, such as "sqlalchemy".')

    file.write_text(file.read_text() + '[tracker]\nbackend = "memory"\n')
    assert Tidings.from_file(file, environ={}).tracker.tracked_exchanges() == []


def test_settings_that_do_not_validate_are_told_with_their_place(
    site: Site, tmp_path: Path
) -> None:
    site.install("""
        from pydantic import BaseModel

        class Nest(BaseModel, extra="forbid"):
            height: int

        class Loft(Settings):
            nests: list[Nest]

        @hookimpl
        def tidings_backends():
            return [producer("carrier-pigeon", settings=Loft)]
    """)

    with pytest.raises(ConfigurationError) as caught:
        configured(tmp_path, "nests = [{height = 1}, {heigth = 1}]\nnest = 3")

    assert caught.value.problems == [
        "producers.carrier-pigeon.nests[1].height: missing.",
        "producers.carrier-pigeon.nests[1].heigth: unknown word. Did you mean 'height'?",
        "producers.carrier-pigeon.nest: unknown word. Did you mean 'nests'?",
    ]


def test_a_validator_that_breaks_is_named_without_its_text(site: Site, tmp_path: Path) -> None:
    site.install("""
        from pydantic import field_validator

        class Loft(Settings):
            url: str

            @field_validator("url")
            @classmethod
            def check(cls, url):
                raise KeyError(url)

        @hookimpl
        def tidings_backends():
            return [producer("carrier-pigeon", settings=Loft)]
    """)

    with pytest.raises(ConfigurationError) as caught:
        configured(tmp_path, 'url = "s3cret"')

    assert caught.value.problems == [
        (
            f"exchanges.bad.producer: {WHAT}: its settings could not be checked: KeyError in a "
            "validator."
        )
    ]


def test_an_observer_that_raises_is_logged_and_stops_nothing(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site.install("""
        class Angry(Observer):
            def published(self, exchange_name, count, last_event_id):
                raise RuntimeError("no wind")

        @hookimpl
        def tidings_observers():
            return [ObserverSpec(name="carrier-pigeon", settings=Own, factory=lambda s: Angry())]
    """)
    path = tmp_path / "tidings.toml"
    path.write_text(
        '[event_store]\nbackend = "memory"\n[exchanges.good]\nproducer = "memory"\n'
        "[observers.carrier-pigeon]"
    )
    tidings = Tidings.from_file(path, environ={})
    one_event(tidings)

    with caplog.at_level(logging.ERROR):
        sent = tidings.notification_service("good").publish_notifications("good")

    assert sent == 1
    assert "Observer Angry failed in published" in caplog.text
    assert "no wind" in caplog.text


def test_an_observer_that_is_none_is_refused(site: Site, tmp_path: Path) -> None:
    site.install("""
        @hookimpl
        def tidings_observers():
            return [ObserverSpec(name="carrier-pigeon", settings=Own, factory=lambda s: print)]
    """)
    path = tmp_path / "tidings.toml"
    path.write_text(
        '[event_store]\nbackend = "memory"\n[exchanges.good]\nproducer = "memory"\n'
        "[observers.carrier-pigeon]"
    )

    with pytest.raises(BrokenPluginError, match=r"a tidings\.plugins\.Observer is wanted"):
        Tidings.from_file(path, environ={}).notification_service("good")


def test_a_broken_plugin_is_a_fault_where_the_configuration_names_it(
    site: Site, tmp_path: Path
) -> None:
    site.install("1 / 0")

    with pytest.raises(ConfigurationError) as caught:
        configured(tmp_path)

    (problem,) = caught.value.problems
    assert problem.startswith(
        "exchanges.bad.producer: Plugin 'carrier-pigeon' (tidings-pigeon 1.2)"
    )
