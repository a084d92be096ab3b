"""Reads a configuration file, and puts the environment in."""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Collection, Mapping, MutableMapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from tidings.config.model import Configuration
from tidings.config.problems import explain
from tidings.config.references import AsItIs, References
from tidings.errors import ConfigurationError

if TYPE_CHECKING:
    import os

DEFAULT_FILE = "tidings.toml"
PREFIX = "TIDINGS_"


class Found(NamedTuple):
    """What a file and the environment say."""

    data: dict[str, Any]
    """The tables, without the keys that ask for variables which are not set."""
    problems: list[str]
    unset: dict[str, list[str]]
    """Those keys, and the variables that they ask for."""


def find_file(path: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> Path:
    """Return the configuration file: ``path``, else ``TIDINGS_CONFIG``, else ``tidings.toml``."""
    return Path(path or environ.get("TIDINGS_CONFIG") or DEFAULT_FILE)


def read(path: Path, environ: Mapping[str, str]) -> Found:
    """Return a file's tables with the environment put in, and what is wrong with them.

    Raises :class:`ConfigurationError` if there is no readable TOML at all.
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
    references = References(environ)
    return Found(references.expand(data), problems + references.problems, references.unset)


def parse(data: Mapping[str, Any], unset: Collection[str] = ()) -> tuple[Configuration, list[str]]:
    """Return the configuration, and everything that is wrong with ``data``.

    What is wrong is left out of the configuration, so that the rest can be checked too. Nothing is
    said of ``unset`` keys, which are not there and would be.
    """
    try:
        return Configuration.model_validate(data), []
    except ValidationError as error:
        rest = copy.deepcopy(dict(data))
        for problem in error.errors(include_input=False, include_context=False, include_url=False):
            _leave_out(rest, problem["loc"], missing=problem["type"] == "missing")
        return parse(rest)[0], explain(error, Configuration, unset=unset)


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
    """Return a list or table if the text is TOML for one, else the text: pydantic converts."""
    if text.startswith(("[", "{")):
        try:
            return _as_it_is(tomllib.loads(f"value = {text}")["value"])
        except (tomllib.TOMLDecodeError, RecursionError):
            return AsItIs(text)
    return AsItIs(text)


def _as_it_is(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_it_is(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_it_is(item) for item in value]
    return AsItIs(value) if isinstance(value, str) else value
