"""The configuration: a TOML file, overridden by environment variables.

Everything that is wrong with it is told at once, each fault with the path of its key.
"""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Mapping, MutableMapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)

from tidings.errors import ConfigurationError

if TYPE_CHECKING:
    import os

DEFAULT_FILE = "tidings.toml"
PREFIX = "TIDINGS_"
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_EXCHANGE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}")


def check_exchange_name(name: str) -> str:
    """Return ``name``, or raise ``ValueError`` where some broker could not hold it."""
    if not _EXCHANGE_NAME.fullmatch(name):
        raise ValueError(
            "an exchange's name has 1 to 127 letters, digits, dots, dashes or underscores, "
            "and begins with a letter or digit"
        )
    return name


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Table(_Model):
    """A table that names a backend; everything else in it is that backend's settings."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)

    backend: str | None = Field(
        default=None,
        description="The plugin; where there is none, the table's own name (for the event store "
        "and the tracker: sqlalchemy).",
    )

    def settings(self) -> dict[str, Any]:
        """Return what is meant for the backend."""
        return dict(self.model_extra or {})

    def __repr__(self) -> str:
        """Name the keys only: a value may be a secret."""
        return f"Table(backend={self.backend!r}, settings={sorted(self.settings())})"

    __str__ = __repr__


def _patterns(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Exchange(_Model):
    """One exchange: which events go there, and through which producer."""

    producer: str = Field(description="A name of [producers], or of a backend.")
    serializer: str = Field(default="json", description="A name of [serializers], or a backend's.")
    events: Annotated[list[str], BeforeValidator(_patterns)] = Field(
        default=[],
        description='Type names to send, with * and ? as wildcards: ["order.*"]. All without it.',
    )
    batch_size: int = Field(
        default=1000, ge=1, le=100_000, description="Events that are read at once."
    )
    on_poison: Literal["stop"] = Field(
        default="stop", description="What an event that can never be sent does to its exchange."
    )


class Relay(_Model):
    """How relays work, on every exchange."""

    lease_seconds: float = Field(
        default=15,
        ge=1,
        le=3600,
        description="How long a dead relay keeps those on other machines from taking over.",
    )
    poll_seconds: float = Field(
        default=0.1,
        ge=0.01,
        le=60,
        description="The longest pause between two looks for events on an idle exchange.",
    )


ExchangeName = Annotated[str, AfterValidator(check_exchange_name)]


class Configuration(_Model):
    """What ``tidings.toml`` says."""

    event_store: Table = Field(default=Table(), description="Where the events are.")
    tracker: Table | None = Field(
        default=None, description="Where the positions are. Without it: beside the events."
    )
    relay: Relay = Relay()
    exchanges: dict[ExchangeName, Exchange] = Field(default={}, description="By name.")
    producers: dict[str, Table] = Field(default={}, description="Settings of producers, by name.")
    serializers: dict[str, Table] = Field(default={}, description="Settings of serializers.")
    observers: dict[str, Table] = Field(default={}, description="Observers to load, by name.")

    def exchange(self, name: str) -> Exchange:
        """Return that exchange's settings, or raise :class:`ConfigurationError`."""
        try:
            return self.exchanges[name]
        except KeyError:
            raise ConfigurationError([_no_such_exchange(name, list(self.exchanges))]) from None

    def producer_table(self, exchange_name: str) -> tuple[str, Table]:
        """Return the backend's name and the table of an exchange's producer."""
        name = self.exchange(exchange_name).producer
        table = self.producers.get(name, Table())
        return table.backend or name, table

    def serializer_table(self, exchange_name: str) -> tuple[str, Table]:
        """Return the backend's name and the table of an exchange's serializer."""
        name = self.exchange(exchange_name).serializer
        table = self.serializers.get(name, Table())
        return table.backend or name, table


def find_file(path: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> Path:
    """Return the configuration file: ``path``, else ``TIDINGS_CONFIG``, else ``tidings.toml``."""
    return Path(path or environ.get("TIDINGS_CONFIG") or DEFAULT_FILE)


def read(path: Path, environ: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Return a file's tables with the environment put in, and what is wrong with them.

    Raises :class:`ConfigurationError` where there is no readable TOML at all.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            [f"There is no {path}. Run `tidings init`, or name a file with --config."]
        ) from None
    except IsADirectoryError:
        raise ConfigurationError([f"{path} is a folder; a file is wanted."]) from None
    except OSError as error:
        raise ConfigurationError([f"Cannot read {path}: {error.strerror}."]) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError([f"{path} is not UTF-8 text: {error.reason}."]) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([f"Not TOML: {error}."], str(path)) from error
    problems: list[str] = []
    _override(data, environ, problems)
    data = _expand(data, environ, "", problems)
    return data, problems


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
    # A place inside a list: the whole of the key that holds it goes.
    if isinstance(node, dict):
        node.pop(path[-1], None)
    elif len(path) > 1:
        _leave_out(data, tuple(path[:-1]), missing=False)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the configuration file, for editors."""
    return TypeAdapter(Configuration).json_schema()


def explain(error: ValidationError, model: type[BaseModel], path: str = "") -> list[str]:
    """Return pydantic's findings as sentences with key paths and a did-you-mean."""
    sentences = []
    for fault in error.errors(include_input=False, include_url=False, include_context=False):
        location = [str(part) for part in fault["loc"] if part != "[key]"]
        key = ".".join([path, *location] if path else location)
        if fault["type"] == "extra_forbidden":
            known = _fields_at(model, fault["loc"][:-1])
            sentences.append(f"{key}: unknown word.{did_you_mean(location[-1], known)}")
        elif fault["type"] == "missing":
            sentences.append(f"{key}: missing.")
        else:
            sentences.append(f"{key}: {fault['msg'].removeprefix('Value error, ')}.")
    return sentences


def did_you_mean(word: str, known: list[str]) -> str:
    """Return a hint at the closest known word, else the list of them."""
    close = get_close_matches(word, known, n=1)
    if close:
        return f" Did you mean {close[0]!r}?"
    return f" Known are: {', '.join(sorted(known))}." if known else ""


def _no_such_exchange(name: str, known: list[str]) -> str:
    if not known:
        return f"No exchange {name!r}: none is configured. Add [exchanges.{name}] with a producer."
    return f"No exchange {name!r} is configured.{did_you_mean(name, known)}"


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Return the words that could stand at ``location`` below ``model``."""
    schema = model.model_json_schema()
    node: dict[str, Any] = schema
    for part in location:
        node = _resolve(schema, node)
        properties = node.get("properties", {})
        node = properties.get(part) or node.get("additionalProperties") or {}
    return list(_resolve(schema, node).get("properties", {}))


def _resolve(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    for choice in [node, *node.get("anyOf", []), *node.get("allOf", [])]:
        if "$ref" in choice:
            found: dict[str, Any] = schema["$defs"][choice["$ref"].rpartition("/")[2]]
            return found
    return node


def _override(
    data: MutableMapping[str, Any], environ: Mapping[str, str], problems: list[str]
) -> None:
    """Put ``TIDINGS_PRODUCERS__RABBITMQ__URL`` and the like in their places."""
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or "__" not in variable:
            continue
        *tables, last = variable.removeprefix(PREFIX).split("__")
        node: Any = data
        for word in tables:
            node = node.setdefault(_existing(node, word), {})
            if not isinstance(node, MutableMapping):
                problems.append(f"{variable}: {word.lower()} is not a table.")
                break
        else:
            node[_existing(node, last)] = _value(environ[variable])


def _existing(node: Mapping[str, Any], word: str) -> str:
    """Return the key that an environment variable's word means: case, - and . don't count."""
    for key in node:
        if re.sub("[-.]", "_", key).upper() == word.upper():
            return key
    return word.lower()


def _value(text: str) -> Any:
    """Return a list or table where the text is TOML for one, else the text: pydantic converts."""
    if text.startswith(("[", "{")):
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return text
    return text


def _expand(value: Any, environ: Mapping[str, str], path: str, problems: list[str]) -> Any:
    if isinstance(value, dict):
        return {
            key: _expand(item, environ, f"{path}.{key}" if path else key, problems)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_expand(item, environ, f"{path}[{i}]", problems) for i, item in enumerate(value)]
    if isinstance(value, str):
        missing = [name for name in _REFERENCE.findall(value) if name not in environ]
        problems += [f"{path}: the environment variable {name} is not set." for name in missing]
        return _REFERENCE.sub(lambda match: environ.get(match[1], match[0]), value)
    return value
