"""Reads a configuration file, and puts the environment in."""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tidings.config.faults import explain, key_path
from tidings.config.model import Configuration
from tidings.errors import ConfigurationError

if TYPE_CHECKING:
    import os

DEFAULT_FILE = "tidings.toml"
PREFIX = "TIDINGS_"
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class _AsItIs(str):
    """A text that came from the environment: nothing in it is put in once more."""

    __slots__ = ()


def find_file(path: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> Path:
    """Return the configuration file: ``path``, else ``TIDINGS_CONFIG``, else ``tidings.toml``."""
    return Path(path or environ.get("TIDINGS_CONFIG") or DEFAULT_FILE)


def read(path: Path, environ: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Return a file's tables with the environment put in, and what is wrong with them.

    Raises :class:`ConfigurationError` where there is no readable TOML at all.
    """
    try:
        # With or without the mark that Windows' editors put in front.
        data = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigurationError(
            [f"There is no {path}. Run `tidings init`, or name a file with --config."]
        ) from None
    except IsADirectoryError:
        raise ConfigurationError([f"{path} is a folder; a file is wanted."]) from None
    except OSError as error:
        raise ConfigurationError([f"Cannot read {path}: {error.strerror}."]) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError([f"{path} is not UTF-8 text: {error.reason}."]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([f"Not TOML: {error}."], str(path)) from None
    except RecursionError:
        raise ConfigurationError([f"{path} is nested too deeply."]) from None
    problems: list[str] = []
    _override(data, environ, problems)
    return {key: _expand(data[key], environ, key_path([key]), problems) for key in data}, problems


def parse(data: Mapping[str, Any]) -> tuple[Configuration, list[str]]:
    """Return the configuration, and everything that is wrong with ``data``.

    What is wrong is left out of the configuration, so that the rest can be checked too.
    """
    try:
        return Configuration.model_validate(data), []
    except ValidationError as error:
        rest = copy.deepcopy(dict(data))
        for fault in error.errors(include_input=False, include_context=False, include_url=False):
            _leave_out(rest, fault["loc"], missing=fault["type"] == "missing")
        return parse(rest)[0], explain(error, Configuration)


def _leave_out(data: dict[str, Any], location: tuple[int | str, ...], *, missing: bool) -> None:
    path = [part for part in location if part != "[key]"]
    if missing:
        path.pop()
    node: Any = data
    for part in path[:-1]:
        node = node.get(part) if isinstance(node, dict) else None
    if isinstance(node, dict):
        node.pop(path[-1], None)
    elif len(path) > 1:
        # A place inside a list: the whole of the key that holds it goes.
        _leave_out(data, tuple(path[:-1]), missing=False)


def _override(
    data: MutableMapping[str, Any], environ: Mapping[str, str], problems: list[str]
) -> None:
    """Put ``TIDINGS_PRODUCERS__RABBITMQ__URL`` and the like in their places."""
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or "__" not in variable:
            continue
        *tables, last = variable.removeprefix(PREFIX).split("__")
        node: Any = data
        try:
            for word in tables:
                node = node.setdefault(_existing(node, word), {})
                if not isinstance(node, MutableMapping):
                    raise ValueError(f"{word.lower()} is not a table.")  # noqa: TRY004, TRY301
            node[_existing(node, last)] = _value(environ[variable])
        except ValueError as error:
            problems.append(f"{variable}: {error}")


def _existing(node: Mapping[str, Any], word: str) -> str:
    """Return the key that an environment variable's word means: case, - and . don't count."""
    found = [key for key in node if re.sub("[-.]", "_", key).upper() == word.upper()]
    if len(found) > 1:
        raise ValueError(f"this may mean {' or '.join(sorted(found))}; set it in the file.")
    return found[0] if found else word.lower()


def _value(text: str) -> Any:
    """Return a list or table where the text is TOML for one, else the text: pydantic converts."""
    if text.startswith(("[", "{")):
        try:
            return _as_it_is(tomllib.loads(f"value = {text}")["value"])
        except (tomllib.TOMLDecodeError, RecursionError):
            return _AsItIs(text)
    return _AsItIs(text)


def _as_it_is(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_it_is(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_it_is(item) for item in value]
    return _AsItIs(value) if isinstance(value, str) else value


def _expand(value: Any, environ: Mapping[str, str], path: str, problems: list[str]) -> Any:
    if isinstance(value, dict):
        return {
            key: _expand(item, environ, key_path([key], path), problems)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [
            _expand(item, environ, key_path([i], path), problems) for i, item in enumerate(value)
        ]
    if isinstance(value, _AsItIs):
        return str(value)
    if isinstance(value, str):
        missing = [name for name in _REFERENCE.findall(value) if name not in environ]
        problems += [f"{path}: the environment variable {name} is not set." for name in missing]
        return _REFERENCE.sub(lambda match: environ.get(match[1], match[0]), value)
    return value
