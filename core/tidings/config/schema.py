"""The JSON Schema of the configuration file, for editors."""

from __future__ import annotations

import json
from typing import Any

from tidings.config.model import Configuration


def json_schema() -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Configuration.model_json_schema(),
        "title": "tidings.toml",
    }


def json_schema_text() -> str:
    """Return the schema as it is published in ``docs/tidings.schema.json``."""
    return json.dumps(json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    print(json_schema_text(), end="")  # noqa: T201 - `python -m tidings.config.schema`
