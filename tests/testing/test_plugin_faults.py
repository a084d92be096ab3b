"""What an author's suite says of a hook that tidings would not find."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from tidings.builtin import plugin
from tidings.plugins import hookimpl
from tidings.testing import MessageConsumerContract

if TYPE_CHECKING:
    from collections.abc import Callable


class Suite(MessageConsumerContract):
    plugin_module, backend = "planted_plugin", "memory"


@hookimpl
def marked() -> object:
    return plugin.tidings_backends()


def unmarked() -> object:
    return plugin.tidings_backends()


@hookimpl
def producers_only() -> object:
    return [replace(spec, consumer=None) for spec in plugin.tidings_backends()]


NOT_FOUND = (
    "tidings_backends() of planted_plugin offers no consumer 'memory'; it offers nothing. Are its "
    "hooks marked with tidings.plugins.hookimpl?"
)


@pytest.mark.parametrize(
    ("hooks", "said"),
    [
        ({"tidings_backend": marked}, "Did you mean tidings_backends?"),
        ({"tidings_backends": unmarked}, NOT_FOUND),
        ({}, NOT_FOUND),
        (
            {"tidings_backends": producers_only},
            "offers no consumer 'memory'; it offers producer 'jsonlines', producer 'memory'.",
        ),
    ],
    ids=["misspelt", "not marked", "not there", "no consumer"],
)
def test_a_hook_that_is_not_found_is_told_as_tidings_tells_it(
    monkeypatch: pytest.MonkeyPatch, hooks: dict[str, Callable[[], object]], said: str
) -> None:
    module = ModuleType("planted_plugin")
    vars(module).update(hooks)
    monkeypatch.setitem(sys.modules, "planted_plugin", module)

    for test in (
        Suite().test_importing_the_plugin_imports_no_library,
        Suite().test_the_spec_was_written_for_this_interface,
    ):
        with pytest.raises(pytest.fail.Exception) as raised:
            test()
        assert said in str(raised.value)
