"""docs/reference/settings.md: everything that `tidings.toml` may say, from the models."""

from __future__ import annotations

import inspect
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pydantic_core import to_jsonable_python
from scripts.reference.docstrings import WRITTEN, in_a_cell, markdown

from tidings.config.exchange import Exchange
from tidings.config.relay import RelaySettings
from tidings.config.table import Table
from tidings.errors import PluginError
from tidings.plugins.kinds import KINDS
from tidings.plugins.registry import PluginRegistry
from tidings.plugins.specs import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

    from tidings.plugins.specs import Spec

HEAD = """\
# Every setting

What each table of `tidings.toml` may say, with its default. How the file is read, secrets and
variables of the environment: [Configuration](../configuration.md). Each setting can also be given
as a variable: `TIDINGS_`, then the path with two underscores for each dot, in capitals.
`relay.poll_seconds` is `TIDINGS_RELAY__POLL_SECONDS`.

{written}
"""

TABLES: tuple[tuple[str, str, type[BaseModel]], ...] = (
    ("[exchanges.NAME]", "One for each exchange.", Exchange),
    ("[relay]", "How the relay works, for all exchanges.", RelaySettings),
)

NAMED = """\
## Tables that name a backend

`[event_store]`, `[tracker]`, `[sources.NAME]`, `[producers.NAME]`, `[serializers.NAME]` and
`[observers.NAME]` have one word in common. Everything else in them is what the backend's own table
below says.
"""

BACKENDS = {
    "sqlalchemy": "[event_store]` and `[tracker]",
    "outbox": "[sources.NAME]",
    "json": "[serializers.NAME]",
    "cloudevents": "[serializers.NAME]",
    "prometheus": "[observers.NAME]",
    "opentelemetry": "[observers.NAME]",
}
"""Where a backend's settings stand, if it is not `[producers.NAME]`."""

BOUNDS = {"exclusiveMinimum": "more than", "minimum": "from", "maximum": "to"}


def page() -> str:
    """Return the whole page."""
    lines = [HEAD.format(written=WRITTEN)]
    for title, says, model in TABLES:
        lines += [f"## {title}\n", f"{says}\n", *_table(model)]
    lines += [NAMED, *_table(Table)]
    registry = PluginRegistry()
    for plugin in registry.installed():
        if plugin.distribution == "tidings" and plugin.name != "memory":
            lines += _backend(plugin.name, registry)
    return "\n".join(lines)


def _backend(name: str, registry: PluginRegistry) -> Iterator[str]:
    model = _spec(name, registry).settings
    yield f"## {name}\n"
    says = inspect.cleandoc(model.__doc__ or "")
    own = "" if model is Settings or says.startswith("What `") else f" {markdown(says)}"
    yield f"In `{BACKENDS.get(name, '[producers.NAME]')}`.{own}".rstrip() + "\n"
    if model.model_fields:
        yield from _table(model)
    else:
        yield "It has no settings.\n"


def _spec(name: str, registry: PluginRegistry) -> Spec:
    for kind in KINDS:
        with suppress(PluginError):
            found: Spec = registry.spec(kind, name)
            return found
    raise LookupError(name)


def _table(model: type[BaseModel]) -> Iterator[str]:
    schema = model.model_json_schema(mode="validation")
    kinds = schema.get("$defs", {})
    yield "| setting | value | default | |"
    yield "|---|---|---|---|"
    for attribute, field in model.model_fields.items():
        name = field.alias or attribute
        default = "*needed*" if field.is_required() else _default(field)
        says = in_a_cell(field.description or "")
        yield f"| `{name}` | {_kind(schema['properties'][name], kinds)} | {default} | {says} |"
    yield ""


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    return "" if value is None else f"`{json.dumps(to_jsonable_python(value))}`"


def _kind(schema: Mapping[str, Any], kinds: Mapping[str, Any]) -> str:
    """Return what may be written there, in words."""
    if "$ref" in schema:
        return _kind(kinds[schema["$ref"].rpartition("/")[2]], kinds)
    if "anyOf" in schema:
        others = [each for each in schema["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(_kind(each, kinds) for each in others))
    if words := schema.get("enum") or ([schema["const"]] if "const" in schema else []):
        return ", ".join(f"`{word}`" for word in words)
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}), kinds)}"
    if schema.get("type") == "object":
        return "table"
    words_for = {"integer": "whole number", "number": "number", "boolean": "true or false"}
    return f"{words_for.get(schema.get('type', ''), 'text')}{_bounds(schema)}"


def _bounds(schema: Mapping[str, Any]) -> str:
    said = [
        f" {word} {_number(schema[bound])}" for bound, word in BOUNDS.items() if bound in schema
    ]
    return "".join(said)


def _number(value: float) -> str:
    # An older pydantic gives 1.0 if the setting takes fractions, and a newer one 1.
    return str(int(value) if value == int(value) else value)
