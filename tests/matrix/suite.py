"""One run of the suite, or of its short form, and what came of it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

SHORT: Final = (
    "tests/servers/test_servers.py",
    "tests/end_to_end",
    "tests/sql/test_contract.py",
    "tests/sql/test_schema.py",
    "tests/sql/test_tracker.py",
    "tests/sql/test_mariadb_and_sqlite.py",
    "tests/sql/test_postgresql_gaps.py",
    "tests/sql/test_retention.py",
    "tests/inbox",
    "tests/rabbitmq/test_contract.py",
    "tests/rabbitmq/test_stream_contract.py",
    "tests/rabbitmq/test_stream.py",
    "tests/rabbitmq/test_consumer.py",
    "tests/rabbitmq/test_deprecations.py",
    "tests/activemq/test_contract.py",
    "tests/zeromq/test_contract.py",
    "tests/cli/test_run.py",
    "tests/cli/test_connections_closed.py",
    "tests/packaging/test_install.py::test_a_database_extra_gives_a_working_event_store",
)
"""Where a newer server or Python shows first; `.ci/run` plays these on every row."""


LACKS: Final = "server lacks"
"""The property of a test, in pytest's report, with what a server hasn't."""


@dataclass(frozen=True)
class Result:
    """What one run found."""

    python: str
    servers: dict[str, str]
    libraries: dict[str, str]
    tests: int
    passed: int
    failed: int
    skipped: dict[str, int] = field(default_factory=dict)
    """How many tests each reason kept from running."""
    lacks: list[str] = field(default_factory=list)
    """What the servers haven't, as tests found that do something else then."""

    @classmethod
    def read(cls, report: Path, versions: dict[str, Any]) -> Result:
        """Read pytest's JUnit report."""
        cases = list(ET.parse(report).getroot().iter("testcase"))  # noqa: S314 - written by our own run
        failed = sum(any(e.tag in {"failure", "error"} for e in case) for case in cases)
        skipped = Counter(
            e.get("message", "no reason") for case in cases for e in case if e.tag == "skipped"
        )
        lacks = {
            str(e.get("value"))
            for case in cases
            for e in case.iter("property")
            if e.get("name") == LACKS
        }
        return cls(
            python=versions["python"],
            servers=versions["servers"],
            libraries=versions["libraries"],
            tests=len(cases),
            passed=len(cases) - failed - skipped.total(),
            failed=failed,
            skipped=dict(skipped.most_common()),
            lacks=sorted(lacks),
        )

    def line(self, title: str) -> str:
        """Return the run in one line."""
        servers = ", ".join(f"{name} {version}" for name, version in self.servers.items())
        return (
            f"{title}: Python {self.python}, {servers}: {self.tests} tests, {self.passed} passed, "
            f"{self.failed} failed, {sum(self.skipped.values())} skipped"
        )

    def as_json(self) -> dict[str, Any]:
        """Return what docs/support.json keeps."""
        return asdict(self)


def pytest_command(report: Path | str, *, short: bool) -> list[str]:
    """Return the command that writes `report`, to be run in a checkout with its `.venv`."""
    what = SHORT if short else ()
    at_once = ["--numprocesses=4", "--dist=loadfile", "--no-loadscope-reorder"]
    return [".venv/bin/python", "-m", "pytest", "-q", *at_once, f"--junit-xml={report}", *what]
