"""Plugins of third parties, installed as pip would: metadata beside modules, on the path."""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from tidings.plugins.registry import PluginRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_numbers = itertools.count(1)

HEAD = """
from tidings.plugins import *
from tidings.plugins import BackendSpec, hookimpl, ObserverSpec, Settings
from tidings.builtin.memory import InMemoryProducer

class Own(Settings):
    pass

def producer(name, **more):
    return BackendSpec(
        **{"name": name, "settings": Own, "producer": lambda s: InMemoryProducer()} | more
    )
"""

GOOD = """
@hookimpl
def tidings_backends():
    return [producer("carrier-pigeon")]
"""


@dataclass(frozen=True)
class Site:
    """A folder of installed distributions."""

    folder: Path

    def install(
        self,
        code: str = GOOD,
        *,
        backend: str = "carrier-pigeon",
        distribution: str = "tidings-pigeon",
        version: str | None = "1.2",
        head: str = HEAD,
    ) -> None:
        """Install a distribution with one plugin; without a version it has no metadata."""
        module = f"third_party_{next(_numbers)}"
        (self.folder / f"{module}.py").write_text(head + dedent(code), encoding="utf-8")
        info = self.folder / f"{distribution.replace('-', '_')}-{version or '0'}.dist-info"
        info.mkdir()
        (info / "entry_points.txt").write_text(f"[tidings]\n{backend} = {module}\n")
        if version is not None:
            (info / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
            )


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Give an empty folder of installed distributions."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    yield Site(folder)
    for name in [name for name in sys.modules if name.startswith("third_party_")]:
        del sys.modules[name]


@pytest.fixture
def registry() -> PluginRegistry:
    return PluginRegistry()
