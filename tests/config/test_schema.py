"""Editors get a JSON Schema that says what the code says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tidings.config.model import Configuration
from tidings.config.schema import json_schema, json_schema_text

PUBLISHED = Path(__file__).parents[2] / "docs" / "tidings.schema.json"


def test_the_published_schema_is_up_to_date() -> None:
    # Versions of pydantic write 1 and 1.0 for the same number.
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    assert published == json.loads(json_schema_text()), (
        "Run `python -m tidings.config.schema > docs/tidings.schema.json`."
    )


def test_every_word_of_the_configuration_is_described() -> None:
    schema = json_schema()
    definitions: dict[str, Any] = schema["$defs"]

    assert set(schema["properties"]) == set(Configuration.model_fields)
    for name in ("Exchange", "RelaySettings"):
        words = definitions[name]["properties"]
        assert words
        assert [word for word in words if "description" not in words[word]] == []


def test_unknown_words_and_bad_names_of_exchanges_are_marked() -> None:
    schema = json_schema()

    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Exchange"]["additionalProperties"] is False
    (pattern,) = schema["properties"]["exchanges"]["patternProperties"]
    assert pattern == "^[A-Za-z0-9][A-Za-z0-9._-]{0,126}$"
