"""A configuration file, and what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from tidings import ConfigurationError, Tidings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MEMORY = '[event_store]\nbackend = "memory"\n'


class Load(Protocol):
    def __call__(self, text: str, environ: Mapping[str, str] = ...) -> Tidings: ...


class Problems(Protocol):
    def __call__(self, text: str, environ: Mapping[str, str] = ...) -> list[str]: ...


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Give a function that reads a configuration of that text."""

    def load(text: str, environ: Mapping[str, str] = {}) -> Tidings:
        path = tmp_path / "tidings.toml"
        path.write_text(text, encoding="utf-8")
        return Tidings.from_file(path, environ=environ)

    return load


@pytest.fixture
def problems(load: Load) -> Problems:
    """Give a function that says what is wrong with a configuration of that text."""

    def problems(text: str, environ: Mapping[str, str] = {}) -> list[str]:
        with pytest.raises(ConfigurationError) as caught:
            load(text, environ)
        return caught.value.problems

    return problems
