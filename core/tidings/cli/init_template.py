"""The commented ``tidings.toml`` that ``tidings init`` writes."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

from pydantic_core import PydanticUndefined, to_jsonable_python

from tidings.plugins.kinds import PRODUCER
from tidings.plugins.registry import PluginRegistry

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

HEAD = """\
# tidings: which events go where. Every value may hold ${{NAME}}, read from the environment, and an
# environment variable such as TIDINGS_EVENT_STORE__URL takes the place of event_store.url.

[event_store]
url = "sqlite:///events.db"      # postgresql://user:${{PASSWORD}}@host/database, mysql://…

[exchanges.my-bc-app]
producer = "{producer}"
# events = ["order.*"]           # only these types; all without it
# batch_size = 1000

[producers.{producer}]
"""


def template(producer: str) -> str:
    """Return a configuration for one exchange and that producer."""
    spec = PluginRegistry().spec(PRODUCER, producer)
    lines = [HEAD.format(producer=producer)]
    fields = spec.settings.model_fields.items()
    for name, field in sorted(fields, key=lambda item: not item[1].is_required()):
        lines.append(_setting(name, field))
    return "".join(lines)


def _setting(name: str, field: FieldInfo) -> str:
    """Return a setting as a comment and a line; commented out if it has a default."""
    text = "".join(f"# {line}\n" for line in textwrap.wrap(field.description or "", 96))
    example = field.examples[0] if field.examples else _default(field)
    mark = "" if field.is_required() else "# "
    if example is None:  # TOML has no word for it
        return f"{text}{mark}{name} = …    (not set)\n"
    value = json.dumps(to_jsonable_python(example), ensure_ascii=False)
    return f"{text}{mark}{name} = {value}\n"


def _default(field: FieldInfo) -> object:
    default = field.get_default(call_default_factory=True)
    return "" if default is PydanticUndefined else default
