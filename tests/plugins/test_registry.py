"""Plugins are found by name, loaded when named, and a broken one harms only those who name it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tidings import BrokenPluginError, MissingLibraryError
from tidings.plugins import API, MessageConsumerSpec, MessageProducerSpec, SerializerSpec
from tidings.plugins.entry_points import installed_entry_points
from tidings.plugins.installing import install_command
from tidings.plugins.registry import InstalledPlugin, PluginRegistry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.plugins.conftest import Site

PLUGIN = r"Plugin 'carrier-pigeon' \(tidings-pigeon 1.2\)"


def refusal(registry: PluginRegistry) -> str:
    """Return why the plugin cannot be had, and make sure that `tidings plugins` says the same."""
    with pytest.raises(BrokenPluginError) as caught:
        registry.spec(MessageProducerSpec, "carrier-pigeon")
    assert registry.spec(MessageProducerSpec, "memory").name == "memory"
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

    assert registry.spec(MessageProducerSpec, "carrier-pigeon").name == "carrier-pigeon"
    assert shown(registry) == InstalledPlugin(
        "carrier-pigeon", "tidings-pigeon", "1.2", ["producer"]
    )


def test_a_plugin_that_nobody_names_is_not_imported(site: Site, registry: PluginRegistry) -> None:
    site.install("import third_party_was_imported")

    assert registry.spec(MessageProducerSpec, "jsonlines").name == "jsonlines"
    assert "carrier-pigeon" in registry.names(MessageProducerSpec)
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
    site.install(f"@hookimpl\ndef tidings_message_producers():\n    return {returned}")

    said = refusal(registry)

    assert "its hook tidings_message_producers returned" in said
    assert "a list of MessageProducerSpec is wanted" in said


def test_a_spec_of_another_hooks_kind_is_refused(site: Site, registry: PluginRegistry) -> None:
    site.install('@hookimpl\ndef tidings_trackers():\n    return [producer("carrier-pigeon")]')

    assert "a list of TrackerSpec is wanted" in refusal(registry)


def test_one_spec_without_a_list_is_good_enough(site: Site, registry: PluginRegistry) -> None:
    site.install(
        '@hookimpl\ndef tidings_message_producers():\n    return producer("carrier-pigeon")'
    )

    assert registry.spec(MessageProducerSpec, "carrier-pigeon").api == API


def test_a_misspelt_hook_gets_a_hint(site: Site, registry: PluginRegistry) -> None:
    site.install("@hookimpl\ndef tidings_message_producer():\n    return []")

    assert refusal(registry) == (
        "Plugin 'carrier-pigeon' (tidings-pigeon 1.2) has an unknown hook "
        "tidings_message_producer. Did you mean tidings_message_producers?"
    )


def test_a_hook_with_arguments_of_its_own_is_refused(site: Site, registry: PluginRegistry) -> None:
    site.install("@hookimpl\ndef tidings_message_producers(settings):\n    return []")

    assert "PluginValidationError" in refusal(registry)


def test_a_plugin_for_another_interface_is_told_which(site: Site, registry: PluginRegistry) -> None:
    site.install(
        "@hookimpl\ndef tidings_message_producers():\n"
        '    return [producer("carrier-pigeon", api=99)]'
    )

    assert refusal(registry) == (
        "Plugin 'carrier-pigeon' (tidings-pigeon 1.2) was written for plugin interface 99; this "
        f"tidings has {API}. Install a release of tidings-pigeon for interface {API}, or another "
        "tidings."
    )


def test_settings_that_are_no_settings_are_refused(site: Site, registry: PluginRegistry) -> None:
    site.install(
        "@hookimpl\ndef tidings_message_producers():\n"
        '    return [producer("carrier-pigeon", settings=dict)]'
    )

    assert "must be a subclass of tidings.plugins.Settings" in refusal(registry)


def test_two_specs_of_one_name_are_refused(site: Site, registry: PluginRegistry) -> None:
    site.install(
        "@hookimpl\ndef tidings_message_producers():\n"
        '    return [producer("carrier-pigeon"), producer("carrier-pigeon")]'
    )

    assert refusal(registry).endswith("offers two MessageProducerSpec 'carrier-pigeon'.")


def test_hooks_without_their_mark_are_hinted_at(site: Site, registry: PluginRegistry) -> None:
    site.install("def tidings_message_producers():\n    return [producer('carrier-pigeon')]")

    with pytest.raises(BrokenPluginError, match=r"hooks marked with tidings.plugins.hookimpl\?"):
        registry.spec(MessageProducerSpec, "carrier-pigeon")
    assert "hookimpl" in str(shown(registry).problem)


def test_an_offer_of_another_name_or_kind_is_told(site: Site, registry: PluginRegistry) -> None:
    site.install('@hookimpl\ndef tidings_message_producers():\n    return [producer("pigeon")]')

    with pytest.raises(
        BrokenPluginError,
        match=PLUGIN + " offers no serializer 'carrier-pigeon'; it offers producer 'pigeon'.",
    ):
        registry.spec(SerializerSpec, "carrier-pigeon")
    assert shown(registry).problem == (
        "Nothing in it is named 'carrier-pigeon'; it offers producer 'pigeon'."
    )


def test_two_distributions_with_one_name_are_both_named(
    site: Site, registry: PluginRegistry
) -> None:
    site.install()
    site.install(distribution="evil-pigeon", version="6.6")

    with pytest.raises(
        BrokenPluginError, match=r"evil-pigeon 6.6 and tidings-pigeon 1.2"
    ) as caught:
        registry.spec(MessageProducerSpec, "carrier-pigeon")
    assert shown(registry).problem == str(caught.value)
    assert not any(name.startswith("third_party_") for name in sys.modules)


def test_one_distribution_seen_twice_is_no_conflict(site: Site) -> None:
    site.install()
    find = installed_entry_points

    registry = PluginRegistry(entry_points=lambda: [*find(), *find()])

    assert registry.spec(MessageProducerSpec, "carrier-pigeon").name == "carrier-pigeon"


@pytest.mark.parametrize("name", ["json", "jsonlines", "memory", "sqlalchemy"])
def test_a_name_of_tidings_own_cannot_be_taken(
    site: Site, registry: PluginRegistry, name: str
) -> None:
    site.install(GOOD_CONSUMER.format(name), backend=name)

    assert [p.problem for p in registry.installed() if p.name == name] == [
        None,
        (
            f"The name of plugin {name!r} (tidings-pigeon 1.2) is taken by tidings itself, so it "
            "is never used. Its entry point needs another name."
        ),
    ]
    assert not any(module.startswith("third_party_") for module in sys.modules)


GOOD_CONSUMER = """
@hookimpl
def tidings_message_consumers():
    return [MessageConsumerSpec(name={!r}, settings=Own, factory=lambda s, c: None)]
"""


def test_a_name_of_tidings_own_cannot_be_taken_for_another_kind(
    site: Site, registry: PluginRegistry
) -> None:
    site.install(GOOD_CONSUMER.format("json"), backend="json")

    with pytest.raises(BrokenPluginError, match=r"'json' \(tidings-pigeon 1.2\) is taken"):
        registry.spec(MessageConsumerSpec, "json")
    assert registry.spec(SerializerSpec, "json").name == "json"


def test_a_distribution_without_metadata_is_named_by_its_folder(
    site: Site, registry: PluginRegistry
) -> None:
    site.install("1 / 0", version=None)

    with pytest.raises(BrokenPluginError, match="tidings_pigeon-0"):
        registry.spec(MessageProducerSpec, "carrier-pigeon")


def test_a_missing_library_is_told_with_the_command(site: Site, registry: PluginRegistry) -> None:
    site.install(
        "@hookimpl\ndef tidings_message_producers():\n"
        '    return [producer("carrier-pigeon", requires=["json", "no_such_bird", "no.such"],'
        ' install="tidings-pigeon[bird]")]'
    )

    spec = registry.spec(MessageProducerSpec, "carrier-pigeon")
    with pytest.raises(MissingLibraryError) as caught:
        registry.build(spec, spec.settings())
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
