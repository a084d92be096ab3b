"""What holds for a plugin's module and its settings, whatever it offers."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import TYPE_CHECKING, Any, ClassVar

import pydantic
import pytest

from tidings.errors import BrokenPluginError
from tidings.plugins.collection import HOOKS, collect
from tidings.plugins.entry_points import Origin
from tidings.plugins.kinds import told
from tidings.plugins.specs import API, Settings
from tidings.testing._judging import broken, check

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tidings.plugins.kinds import Kind
    from tidings.plugins.specs import Spec

LAZY = "The factory imports the broker's library; importing the plugin's module does not."
STRICT = "Base of a backend's settings: unknown words are errors, values don't change."

UNKNOWN_WORD = "no_such_word_in_any_backend"

SCRIPT = """
import importlib, sys
module = importlib.import_module(sys.argv[1])
getattr(module, sys.argv[2])()
print(", ".join(name for name in sys.argv[3:] if name in sys.modules))
"""


class PluginPromises:
    """What holds if ``plugin_module`` and ``backend`` are given."""

    plugin_module: ClassVar[str] = ""
    backend: ClassVar[str] = ""
    _kind: ClassVar[Kind[Any]]

    @pytest.fixture
    def secrets(self) -> Sequence[str]:
        """Supply the passwords and keys that no error and no ``repr`` may show."""
        return ()

    @pytest.fixture
    def settings(self) -> Mapping[str, Any]:
        """Supply settings as the configuration would, if some are required."""
        return {}

    def test_importing_the_plugin_imports_no_library(self) -> None:
        spec, hook = self._spec(), HOOKS[self._kind.spec]
        done = subprocess.run(  # noqa: S603 - our own interpreter and script
            [sys.executable, "-c", SCRIPT, self.plugin_module, hook, *spec.requires],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        check(
            done.returncode == 0,
            LAZY,
            f"Importing {self.plugin_module} and calling {hook}() failed:\n{done.stderr}",
        )
        loaded = done.stdout.strip()
        check(not loaded, LAZY, f"Importing {self.plugin_module} imported {loaded}.")

    def test_the_spec_was_written_for_this_interface(self) -> None:
        spec = self._spec()
        check(spec.api == API, "API", f"The spec says api={spec.api}; this tidings has {API}.")
        missing = [name for name in spec.requires if "." in name]
        check(not missing, "requires: top-level modules", f"requires names {missing}.")
        check(
            spec.install or not spec.requires,
            "install: what pip is to install when one of them is missing",
            f"The spec requires {list(spec.requires)} and does not say what to install.",
        )

    def test_settings_refuse_unknown_words(self, settings: Mapping[str, Any]) -> None:
        spec = self._spec()
        check(issubclass(spec.settings, Settings), STRICT, f"{spec.settings} is no Settings.")
        try:
            spec.settings(**settings)
        except pydantic.ValidationError as error:
            pytest.fail(f"The fixture `settings` gives settings that do not validate: {error}")
        try:
            spec.settings(**{**settings, UNKNOWN_WORD: 1})
        except pydantic.ValidationError:
            return
        check(False, STRICT, "An unknown word in the settings was taken without an error.")

    def test_settings_show_no_secret(
        self, settings: Mapping[str, Any], secrets: Sequence[str]
    ) -> None:
        made = self._spec().settings(**settings)
        shown = f"{made!r} {made} {made.model_dump()}"
        try:
            made.__class__(**{**settings, UNKNOWN_WORD: 1})
        except pydantic.ValidationError as error:
            shown += str(error)
        for secret in secrets:
            check(
                secret not in shown,
                "Secrets are `pydantic.SecretStr`",
                "The settings show a secret: " + shown.replace(secret, "<the secret>"),
            )

    def test_a_setting_that_is_wrong_is_told_without_its_secret(
        self, settings: Mapping[str, Any], secrets: Sequence[str]
    ) -> None:
        model = self._spec().settings
        for name, value in settings.items():
            if not isinstance(value, str):
                continue
            for secret in (each for each in secrets if each in value):
                for wrong in (secret, f":{value}", f"{value} {value}"):
                    try:
                        model(**{**settings, name: wrong})
                    except pydantic.ValidationError as error:
                        check(
                            secret not in str(error),
                            "A validator says what is wrong, and never repeats the value: it may "
                            "hold a password.",
                            f"A wrong {name} is quoted, with the secret in it: "
                            + str(error).replace(secret, "<the secret>"),
                        )

    def _need_plugin(self) -> None:
        if not self.plugin_module:
            pytest.skip('declared: plugin_module = "" (not offered through a hook)')

    def _spec(self) -> Spec:
        self._need_plugin()
        module = importlib.import_module(self.plugin_module)
        try:
            # as tidings itself does it, so that what is wrong is told in the same words
            found = collect(self.backend, Origin(self.plugin_module, ""), module)
        except BrokenPluginError as error:
            pytest.fail(str(error), pytrace=False)
        spec: Spec | None = self._kind.offered(found, self.backend)
        if spec is None:
            broken(
                "the entry point's name is the backend's name",
                f"{HOOKS[self._kind.spec]}() of {self.plugin_module} offers no {self._kind.word} "
                f"{self.backend!r}; {told(found)}",
            )
        return spec


def missing(fixture: str, why: str = "The class's docstring shows how.") -> NotImplementedError:
    """Return what to raise where the author's fixture should have been."""
    return NotImplementedError(
        f"Supply the fixture `{fixture}` in the test class, or in a base before the suite's; one "
        f"in conftest.py is hidden by the suite's own. {why}"
    )
