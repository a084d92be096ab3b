"""``${NAME}`` in a value: read from the environment."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tidings.config.problems import key_path

if TYPE_CHECKING:
    from collections.abc import Mapping

_REFERENCE = re.compile(
    r"(?P<literal>\$\$\{)|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^{}]*))?\}|\$\{"
)
_LEFT_OUT = object()


class AsItIs(str):
    """A text that came from the environment: nothing in it is put in once more."""

    __slots__ = ()


class References:
    """Puts the environment into values.

    ``${NAME}`` is the variable, ``${NAME:-default}`` the default if it is unset or empty,
    ``$${`` a literal ``${``. Any other ``${`` is a problem.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self.unset: dict[str, list[str]] = {}
        """The keys whose values ask for variables that are not set, and those variables."""
        self._environ = environ

    def expand(self, value: Any, path: str = "") -> Any:
        """Return ``value`` without references, and without the keys that miss a variable."""
        if isinstance(value, dict):
            items = {key: self._expand(item, key_path([key], path)) for key, item in value.items()}
            return {key: item for key, item in items.items() if item is not _LEFT_OUT}
        return self._expand(value, path)

    def _expand(self, value: Any, path: str) -> Any:
        if isinstance(value, dict):
            return self.expand(value, path)
        if isinstance(value, list):
            items = [self._expand(item, key_path([i], path)) for i, item in enumerate(value)]
            return _LEFT_OUT if _LEFT_OUT in items else items
        if isinstance(value, AsItIs) or not isinstance(value, str):
            return str(value) if isinstance(value, AsItIs) else value
        return self._expand_text(value, path)

    def _expand_text(self, text: str, path: str) -> Any:
        missing: list[str] = []

        def found(match: re.Match[str]) -> str:
            name, default = match["name"], match["default"]
            if match["literal"]:
                return "${"
            if name is None:
                self.problems.append(
                    f"{path}: a ${{ that is not understood. Write ${{NAME}}, or "
                    "${NAME:-default} without braces in the default; $${ is a literal ${."
                )
                return ""
            if default is not None:
                return self._environ.get(name) or default
            if name not in self._environ:
                missing.append(name)
            return self._environ.get(name, "")

        expanded = _REFERENCE.sub(found, text)
        if missing:
            self.unset[path] = missing
            return _LEFT_OUT
        return expanded


def describe_unset(unset: Mapping[str, list[str]]) -> list[str]:
    """Return a sentence for each variable that is not set, with the keys that ask for it."""
    places: dict[str, list[str]] = {}
    for path, names in unset.items():
        for name in dict.fromkeys(names):
            places.setdefault(name, []).append(path)
    return [
        f"{', '.join(paths)}: the environment variable {name} is not set."
        for name, paths in places.items()
    ]
