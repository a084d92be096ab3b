"""That `make quick` runs what needs no server, and only that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import Redis

ROOT = Path(__file__).parents[2]
WITH_A_SERVER = (
    "rabbitmq/test_mapping.py",  # by a fixture
    "sql/test_pgbouncer.py",  # by a fixture of its own, which starts a server
    "sql/test_soak.py",  # by the parameter of a fixture that asks for another by name
    "examples/test_redis_example.py",  # by a class of servers in the test's own module
    "benchmarks/test_wire.py",  # by its word for a server that is missing
    "sql/test_settings.py::test_a_missing_database_says_so",  # by the test's own parameter
    # by a fixture that the suite asks for by its name while the test runs
    "activemq/test_contract.py::TestActiveMQProducer::test_flush_keeps_to_its_timeout",
)
WITHOUT = (
    "relay/test_leased_exchange.py",
    "relay/test_holding.py",
    "sql/test_soak.py",
    "zeromq/test_wire.py",
)


@pytest.fixture(scope="module")
def collected() -> dict[bool, str]:
    """Give the tests with the mark, and those without, of the files above."""
    files = sorted({each.partition("::")[0] for each in (*WITH_A_SERVER, *WITHOUT)})
    return {
        marked: collect("server" if marked else "not server", files) for marked in (True, False)
    }


def collect(expression: str, files: list[str]) -> str:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", expression]
    paths = [f"tests/{file}" for file in files]
    done = subprocess.run([*command, *paths], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.parametrize("tests", WITH_A_SERVER)
def test_a_test_that_needs_a_server_has_the_mark(collected: dict[bool, str], tests: str) -> None:
    assert f"tests/{tests}" in collected[True]


@pytest.mark.parametrize("file", WITHOUT)
def test_a_test_that_needs_none_is_run_by_make_quick(collected: dict[bool, str], file: str) -> None:
    assert f"tests/{file}::" in collected[False]


def test_of_a_test_on_several_databases_only_those_on_servers_have_the_mark(
    collected: dict[bool, str],
) -> None:
    for marked in (True, False):
        soaks = [
            line
            for line in collected[marked].splitlines()
            if "sql/test_soak.py" in line and "[" in line
        ]
        assert soaks
        assert {marked} == {"sqlite" not in line for line in soaks}


def test_a_server_does_not_start_for_a_test_without_the_mark(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "tests/a.py::test_unseen (call)")
    server = Redis(tmp_path)

    with pytest.raises(AssertionError, match=r"tests/a.py::test_unseen .* has no mark `server`"):
        server.start()
