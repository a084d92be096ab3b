"""Nothing is imported that was not asked for: start-up is quick, and an extra stays an extra."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

BROKERS = {"pika", "stomp", "zmq", "rstream"}
OBSERVERS = {"prometheus_client", "opentelemetry"}
HEAVY = {"sqlalchemy", "pydantic", "rich", "pluggy", "click"}


def imported_by(code: str, cwd: Path) -> set[str]:
    """Return the top-level modules that a fresh process has imported after ``code``."""
    found = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules, file=sys.stderr)"],
        cwd=cwd,
        check=True,
        capture_output=True,
        text=True,
    )
    return {name.partition(".")[0] for name in found.stderr.split()}


def test_importing_tidings_brings_in_nothing_else(tmp_path: Path) -> None:
    assert not imported_by("import tidings", tmp_path) & (BROKERS | HEAVY)


def test_the_errors_the_events_and_the_interfaces_bring_in_nothing_else(tmp_path: Path) -> None:
    code = "from tidings import NewEvent, MessageProducer, TidingsError; import tidings.interfaces"

    assert not imported_by(code, tmp_path) & (BROKERS | HEAVY)


def test_recording_needs_no_broker_and_no_configuration(tmp_path: Path) -> None:
    loaded = imported_by("from tidings import record, NewEvent", tmp_path)

    assert "sqlalchemy" in loaded
    assert not loaded & (BROKERS | {"pluggy", "rich", "click"})


def test_a_store_on_sqlite_imports_nothing_for_postgresql(tmp_path: Path) -> None:
    (tmp_path / "tidings.toml").write_text('[event_store]\nurl = "sqlite:///events.db"\n')
    code = (
        "import sys\n"
        "from tidings import Tidings\n"
        "with Tidings.from_file(environ={}) as tidings:\n"
        "    tidings.event_store().create()\n"
        "    tidings.tracker.create()\n"
        "found = {name for name in sys.modules if name.startswith('sqlalchemy.dialects.')}\n"
        "assert 'sqlalchemy.dialects.sqlite' in found\n"
        "assert 'sqlalchemy.dialects.postgresql' not in found\n"
    )

    assert "sqlalchemy" in imported_by(code, tmp_path)


def test_listing_the_plugins_imports_no_brokers_library(tmp_path: Path) -> None:
    code = (
        "from tidings.plugins.registry import PluginRegistry\n"
        "found = {p.name: p.problem for p in PluginRegistry().installed()}\n"
        "assert {'rabbitmq', 'activemq', 'zeromq'} <= set(found), found"
    )

    loaded = imported_by(code, tmp_path)

    assert {"tidings_rabbitmq", "tidings_activemq", "tidings_zeromq"} <= loaded
    assert not loaded & (BROKERS | OBSERVERS | {"sqlalchemy", "rich", "click"})


@pytest.mark.parametrize(
    ("backend", "settings", "library"),
    [
        ("rabbitmq", 'url = "amqp://localhost/"', "pika"),
        ("activemq", 'url = "stomp://localhost"\nsubscribers = ["app"]', "stomp"),
        ("zeromq", 'bind = "tcp://127.0.0.1:5556"\nsubscribers = ["app"]', "zmq"),
        ("jsonlines", "", None),
    ],
)
def test_one_backend_imports_no_other_ones_library(
    tmp_path: Path, backend: str, settings: str, library: str | None
) -> None:
    (tmp_path / "tidings.toml").write_text(
        '[event_store]\nbackend = "memory"\n[exchanges.x]\n'
        f'producer = "{backend}"\n[producers.{backend}]\n{settings}\n'
    )

    read = imported_by("from tidings import Tidings; Tidings.from_file(environ={})", tmp_path)
    built = imported_by(
        "from tidings import Tidings; Tidings.from_file(environ={}).worker([])", tmp_path
    )

    assert not read & (BROKERS | OBSERVERS | {"sqlalchemy"}), (
        "reading the configuration needs no library"
    )
    assert built & BROKERS == ({library} if library else set())
    others = {"tidings_rabbitmq", "tidings_activemq", "tidings_zeromq"} - {f"tidings_{backend}"}
    assert not built & others
