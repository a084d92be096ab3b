"""A thread that ends by a fault of ours: the relay is not live, and ends with an error."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tests.cli.projects import ONE
from tests.cli.test_health import listen
from tests.command import PATIENCE, Project
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

SECOND = """
[exchanges.audit]
producer = "jsonlines"
"""


class Faulty(Project):
    """Runs `tidings` with a fault in it."""

    @override
    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [sys.executable, str(Path(__file__).with_name("faulty.py")), *arguments]


@pytest.fixture
def faulty(tmp_path: Path) -> Faulty:
    project = Faulty(tmp_path)
    project.configure(ONE + SECOND)
    project.succeed("init", "--tables")
    return project


def test_a_relay_whose_every_thread_died_ends_with_1_and_says_why(faulty: Faulty) -> None:
    with faulty.running("run", DYING="orders audit") as running:
        assert running.process.wait(PATIENCE) == 1

        assert "Exchange 'orders': its thread has ended by a fault of tidings itself" in running.err
        assert "Start the relay again, and report it." in running.err


def test_a_relay_of_which_one_thread_died_is_not_live_goes_on_and_ends_with_1(
    faulty: Faulty,
) -> None:
    relay = listen(faulty)
    faulty.append_numbers(1, 2)
    with faulty.running("run", DYING="orders") as running:
        eventually(lambda: relay.ask("/livez")[0] == 503, "a relay that is not live", PATIENCE)
        said = relay.ask("/livez")[1]["exchanges"]
        asked = faulty.run("health")
        eventually(lambda: faulty.status("audit")["events_behind"] == 0, "the other one", PATIENCE)
        assert running.terminate() == 1

    assert said["orders"]["state"] == "dead"
    assert "KeyError: 'a fault of ours'" in said["orders"]["reason"]
    assert said["audit"]["live"] is True
    assert asked.code == 1
    assert "orders is dead (its thread ended with KeyError" in asked.err
