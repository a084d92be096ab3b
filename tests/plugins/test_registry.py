"""Plugins are found by name, loaded when named, and a broken one harms only those who name it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tidings import BrokenPluginError, MissingLibraryError, UnknownBackendError
from tidings.plugins import API
from tidings.plugins.entry_points import installed_entry_points
from tidings.plugins.installing import install_command
from tidings.plugins.kinds import CONSUMER, PRODUCER, SERIALIZER
from tidings.plugins.registry import InstalledPlugin, PluginRegistry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.plugins.conftest import Site

PLUGIN = r"Plugin 'carrier-pigeon' \(tidings-pigeon 1.2\)"
WITH_CONSUMER = """
@hookimpl
def tidings_backends():
    return [producer({!r}, consumer=lambda s, c: None)]
"""


def refusal(registry: PluginRegistry) -> str:
    """Return why the plugin cannot be had, and make sure that `tidings plugins` says the same."""
    with pytest.raises(BrokenPluginError) as caught:
        registry.spec(PRODUCER, "carrier-pigeon")
    assert registry.spec(PRODUCER, "memory").name == "memory"
    assert shown(registry) == InstalledPlugin(
        "carrier-pigeon", "tidings-pigeon", "1.2", problem=str(caught.value)
    )
    return str(caught.value)


def shown(registry: PluginRegistry, name: str = "carrier-pigeon") -> InstalledPlugin:
    (found,) = [plugin for plugin in registry.installed() if plugin.name == name]
    return found


@pytest.mark.parametrize(
    ("receipt", "command"),
    [
        ("pyvenv.cfg", "pip install 'tidings[rabbitmq]'"),
        ("pipx_metadata.json", "pipx inject --force tidings 'tidings[rabbitmq]'"),
        ("uv-receipt.toml", "uv tool install --with 'tidings[rabbitmq]' tidings"),
    ],
)
def test_the_advice_fits_how_tidings_was_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, receipt: str, command: str
) -> None:
    (tmp_path / receipt).touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))

    assert install_command("tidings[rabbitmq]").startswith(command)


def test_a_plugin_is_found_and_shown_as_ready(site: Site, registry: PluginRegistry) -> None:
    site.install()

    assert registry.spec(PRODUCER, "carrier-pigeon").name == "carrier-pigeon"
    assert shown(registry) == InstalledPlugin(
        "carrier-pigeon", "tidings-pigeon", "1.2", ["producer"]
    )


def test_a_plugin_that_nobody_names_is_not_imported(site: Site, registry: PluginRegistry) -> None:
    site.install("import third_party_was_imported")

    assert registry.spec(PRODUCER, "jsonlines").name == "jsonlines"
    assert "carrier-pigeon" in registry.names(PRODUCER)
    assert not any(name.startswith("third_party_") for name in sys.modules)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def x(:", "SyntaxError: "),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_named_with_the_cause(
    site: Site, registry: PluginRegistry, code: str, reason: str
) -> None:
    site.install(code)

    said = refusal(registry)

    assert said.startswith("Plugin 'carrier-pigeon' (tidings-pigeon 1.2) cannot be imported from ")
    assert reason in said


@pytest.mark.parametrize("body", ["raise RuntimeError('no wind')", "raise SystemExit('no wind')"])
def test_a_hook_that_raises_is_named_with_the_cause(
    site: Site, registry: PluginRegistry, body: str
) -> None:
    site.install(f"@hookimpl\ndef tidings_observers():\n    {body}")

    assert refusal(registry).startswith(
        "Plugin 'carrier-pigeon' (tidings-pigeon 1.2) is broken: "
    ), "the hook's own error is told"
    assert "no wind" in refusal(registry)


def test_a_type_error_inside_a_generator_hook_is_told_as_it_is(
    site: Site, registry: PluginRegistry
) -> None:
    site.install("@hookimpl\ndef tidings_observers():\n    yield len(3)")

    assert "object of type 'int' has no len()" in refusal(registry)


@pytest.mark.parametrize(
    "returned",
    ["42", "['carrier-pigeon']", "'carrier-pigeon'", "[None]", "{'a': 1}", "[Own]"],
)
def test_a_hook_that_returns_rubbish_is_told_what_is_wanted(
    site: Site, registry: PluginRegistry, returned: str
) -> None:
    site.install(f"@hookimpl\ndef tidings_backends():\n    return {returned}")

    said = refusal(registry)

    assert "its hook tidings_backends returned" in said
    assert "a list of BackendSpec is wanted" in said


def test_a_spec_of_another_hooks_kind_is_refused(site: Site, registry: PluginRegistry) -> None:
    site.install('@hookimpl\ndef tidings_trackers():\n    return [producer("carrier-pigeon")]')

    assert "a list of TrackerSpec is wanted" in refusal(registry)


def test_one_spec_without_a_list_is_good_enough(site: Site, registry: PluginRegistry) -> None:
    site.install('@hookimpl\ndef tidings_backends():\n    return producer("carrier-pigeon")')

    assert registry.spec(PRODUCER, "carrier-pigeon").api == API


def test_a_misspelt_hook_gets_a_hint(site: Site, registry: PluginRegistry) -> None:
    site.install("@hookimpl\ndef tidings_backend():\n    return []")

    assert refusal(registry) == (
        "Plugin 'carrier-pigeon' (tidings-pigeon 1.2) has an unknown hook "
        "tidings_backend. Did you mean tidings_backends?"
    )


def test_a_hook_with_arguments_of_its_own_is_refused(site: Site, registry: PluginRegistry) -> None:
    site.install("@hookimpl\ndef tidings_backends(settings):\n    return []")

    assert "PluginValidationError" in refusal(registry)


def test_a_plugin_for_another_interface_is_told_which(site: Site, registry: PluginRegistry) -> None:
    site.install(
        '@hookimpl\ndef tidings_backends():\n    return [producer("carrier-pigeon", api=99)]'
    )

    assert refusal(registry) == (
        "Plugin 'carrier-pigeon' (tidings-pigeon 1.2) was written for plugin interface 99; this "
        f"tidings has {API}. Install a release of tidings-pigeon for interface {API}, or another "
        "tidings."
    )


def test_settings_that_are_no_settings_are_refused(site: Site, registry: PluginRegistry) -> None:
    site.install(
        '@hookimpl\ndef tidings_backends():\n    return [producer("carrier-pigeon", settings=dict)]'
    )

    assert "must be a subclass of tidings.plugins.Settings" in refusal(registry)


def test_two_specs_of_one_name_are_refused(site: Site, registry: PluginRegistry) -> None:
    site.install(
        "@hookimpl\ndef tidings_backends():\n"
        '    return [producer("carrier-pigeon"), producer("carrier-pigeon")]'
    )

    assert refusal(registry).endswith("offers two BackendSpec 'carrier-pigeon'.")


def test_hooks_without_their_mark_are_hinted_at(site: Site, registry: PluginRegistry) -> None:
    site.install("def tidings_backends():\n    return [producer('carrier-pigeon')]")

    with pytest.raises(BrokenPluginError, match=r"hooks marked with tidings.plugins.hookimpl\?"):
        registry.spec(PRODUCER, "carrier-pigeon")
    assert "hookimpl" in str(shown(registry).problem)


def test_an_offer_of_another_name_or_kind_is_told(site: Site, registry: PluginRegistry) -> None:
    site.install('@hookimpl\ndef tidings_backends():\n    return [producer("pigeon")]')

    with pytest.raises(
        BrokenPluginError,
        match=PLUGIN + " offers no serializer 'carrier-pigeon'; it offers producer 'pigeon'.",
    ):
        registry.spec(SERIALIZER, "carrier-pigeon")
    assert shown(registry).problem == (
        "Nothing in it is named 'carrier-pigeon'; it offers producer 'pigeon'."
    )


def test_one_spec_offers_both_a_producer_and_a_consumer(
    site: Site, registry: PluginRegistry
) -> None:
    site.install(WITH_CONSUMER.format("carrier-pigeon"))

    assert registry.spec(CONSUMER, "carrier-pigeon") is registry.spec(PRODUCER, "carrier-pigeon")
    assert shown(registry).kinds == ["producer", "consumer"]


def test_a_backend_without_a_consumer_is_told(site: Site, registry: PluginRegistry) -> None:
    site.install()

    with pytest.raises(
        BrokenPluginError,
        match=PLUGIN + " offers no consumer 'carrier-pigeon'; it offers producer 'carrier-pigeon'.",
    ):
        registry.spec(CONSUMER, "carrier-pigeon")
    with pytest.raises(UnknownBackendError) as caught:
        registry.spec(CONSUMER, "jsonlines")
    said = str(caught.value)
    assert said.startswith("There is no consumer 'jsonlines'. Known are: activemq, memory, ")
    assert "pigeon" not in said


def test_a_consumer_that_cannot_be_made_is_named_as_one(
    site: Site, registry: PluginRegistry
) -> None:
    site.install(
        "@hookimpl\ndef tidings_backends():\n"
        '    return [producer("carrier-pigeon", consumer="no.such_module:Consumer")]'
    )
    spec = registry.spec(CONSUMER, "carrier-pigeon")

    assert registry.build(PRODUCER, spec, spec.settings()) is not None
    with pytest.raises(BrokenPluginError) as caught:
        registry.build(CONSUMER, spec, spec.settings(), None)
    assert str(caught.value) == (
        "The consumer 'carrier-pigeon' (tidings-pigeon 1.2): its factory 'no.such_module:Consumer' "
        "cannot be imported: ModuleNotFoundError: No module named 'no'"
    )


def test_two_distributions_with_one_name_are_both_named(
    site: Site, registry: PluginRegistry
) -> None:
    site.install()
    site.install(distribution="evil-pigeon", version="6.6")

    with pytest.raises(
        BrokenPluginError, match=r"evil-pigeon 6.6 and tidings-pigeon 1.2"
    ) as caught:
        registry.spec(PRODUCER, "carrier-pigeon")
    assert shown(registry).problem == str(caught.value)
    assert not any(name.startswith("third_party_") for name in sys.modules)


def test_one_distribution_seen_twice_is_no_conflict(site: Site) -> None:
    site.install()
    find = installed_entry_points

    registry = PluginRegistry(entry_points=lambda: [*find(), *find()])

    assert registry.spec(PRODUCER, "carrier-pigeon").name == "carrier-pigeon"


@pytest.mark.parametrize("name", ["json", "jsonlines", "memory", "sqlalchemy"])
def test_a_name_of_tidings_own_cannot_be_taken(
    site: Site, registry: PluginRegistry, name: str
) -> None:
    site.install(WITH_CONSUMER.format(name), backend=name)

    assert [p.problem for p in registry.installed() if p.name == name] == [
        None,
        (
            f"The name of plugin {name!r} (tidings-pigeon 1.2) is taken by tidings itself, so it "
            "is never used. Its entry point needs another name."
        ),
    ]
    assert not any(module.startswith("third_party_") for module in sys.modules)


def test_a_name_of_tidings_own_cannot_be_taken_for_another_kind(
    site: Site, registry: PluginRegistry
) -> None:
    site.install(WITH_CONSUMER.format("json"), backend="json")

    with pytest.raises(BrokenPluginError, match=r"'json' \(tidings-pigeon 1.2\) is taken"):
        registry.spec(CONSUMER, "json")
    assert registry.spec(SERIALIZER, "json").name == "json"


def test_a_distribution_without_metadata_is_named_by_its_folder(
    site: Site, registry: PluginRegistry
) -> None:
    site.install("1 / 0", version=None)

    with pytest.raises(BrokenPluginError, match="tidings_pigeon-0"):
        registry.spec(PRODUCER, "carrier-pigeon")


def test_a_missing_library_is_told_with_the_command(site: Site, registry: PluginRegistry) -> None:
    site.install(
        "@hookimpl\ndef tidings_backends():\n"
        '    return [producer("carrier-pigeon", requires=["json", "no_such_bird", "no.such"],'
        ' install="tidings-pigeon[bird]")]'
    )

    spec = registry.spec(PRODUCER, "carrier-pigeon")
    with pytest.raises(MissingLibraryError) as caught:
        registry.build(PRODUCER, spec, spec.settings())
    assert str(caught.value) == (
        "The producer 'carrier-pigeon' needs the library no_such_bird, no.such, which is not "
        "installed: pip install 'tidings-pigeon[bird]'"
    )
    assert shown(registry).problem == str(caught.value)
    assert shown(registry).kinds == ["producer"]


def test_all_plugins_are_shown_the_broken_ones_too(site: Site, registry: PluginRegistry) -> None:
    site.install()
    site.install("1 / 0", backend="broken", distribution="broken-bird", version="0.1")

    found = {plugin.name: plugin for plugin in registry.installed()}

    assert {"json", "jsonlines", "memory", "sqlalchemy", "rabbitmq", "activemq", "zeromq"} < set(
        found
    )
    assert found["carrier-pigeon"].problem is None
    assert "ZeroDivisionError" in str(found["broken"].problem)
    assert found["memory"].kinds == ["producer", "consumer", "event store", "tracker"]
