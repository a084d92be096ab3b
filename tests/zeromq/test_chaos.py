"""Relay and subscribers as processes that are killed and frozen."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.process import free_port, spawn
from tests.zeromq.events import EXCHANGE
from tidings.testing import eventually

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
SETTINGS = {"heartbeat": 0.3}

pytestmark = pytest.mark.chaos


class World:
    """A relay and its subscribers, each a process of its own."""

    def __init__(self, address: str, folder: Path, names: list[str], last: int) -> None:
        self.last = last
        self.names = names
        self.tracker = folder / "tracker"
        self._address = address
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start_relay(self, *, called: str = "relay", **settings: Any) -> None:
        required = ",".join(self.names)
        options = json.dumps(SETTINGS | settings)
        self._start(
            called,
            "relay_process",
            self._address,
            EXCHANGE,
            str(self.tracker),
            str(self.last),
            required,
            options,
        )

    def start_subscriber(self, name: str) -> None:
        self._start(
            name, "subscriber_process", self._address, EXCHANGE, name, str(self.effects(name))
        )

    def effects(self, name: str) -> Path:
        return self._folder / f"{name}.effects"

    def ids(self, name: str) -> list[int]:
        file = self.effects(name)
        return [int(line) for line in file.read_text().splitlines()] if file.exists() else []

    def kill(self, who: str) -> None:
        process = self._processes.pop(who)
        process.kill()
        process.wait()

    def freeze(self, who: str) -> None:
        os.kill(self._processes[who].pid, signal.SIGSTOP)

    def thaw(self, who: str) -> None:
        os.kill(self._processes[who].pid, signal.SIGCONT)

    def wait_for(self, name: str, count: int, seconds: float = 60.0) -> None:
        eventually(lambda: len(self.ids(name)) >= count, f"{name} to have {count}", seconds)

    def finish(self) -> None:
        """Wait until all is tracked, and look at what every subscriber has."""
        eventually(
            lambda: self.tracker.exists() and self.tracker.read_text() == str(self.last),
            f"the position to reach {self.last}",
            60,
        )
        for name in self.names:
            assert self.ids(name) == list(range(1, self.last + 1))

    def end(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()

    def output(self, who: str) -> str:
        return (self._folder / f"{who}.output").read_text()

    def _start(self, who: str, module: str, *arguments: str) -> None:
        self._processes[who] = spawn(
            [sys.executable, "-m", f"tests.zeromq.{module}", *arguments],
            environment={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)},
            directory=REPOSITORY,
            output=self._folder / f"{who}.output",
        )


@pytest.fixture
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if getattr(request, "param", "tcp") == "ipc":
        return f"ipc://{tmp_path}/relay.ipc"
    return f"tcp://127.0.0.1:{free_port()}"


@pytest.fixture
def names() -> list[str]:
    return ["app", "audit"]


@pytest.fixture
def world(address: str, tmp_path: Path, names: list[str], last: int) -> Iterator[World]:
    world = World(address, tmp_path, names, last)
    yield world
    world.end()
    for name in ["relay", *names]:
        output = tmp_path / f"{name}.output"
        text = output.read_text() if output.exists() else ""
        assert "Assertion" not in text, text
        assert "Traceback" not in text, text


@pytest.fixture
def last() -> int:
    return 20_000


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Give random moments; the seed stands in the output of a failed test."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 - pytest shows it when the test fails
    return random.Random(seed)  # noqa: S311 - moments, not secrets


def _rounds(world: World, chance: random.Random, rounds: int, victims: list[str]) -> None:
    """Kill a random victim in the middle, again and again, and start it anew at once."""
    for number in range(1, rounds + 1):
        world.wait_for("app", world.last * number // (rounds + 1))
        time.sleep(chance.random() * 0.05)  # any moment will do
        victim = chance.choice(victims)
        world.kill(victim)
        if victim == "relay":
            world.start_relay()
        else:
            world.start_subscriber(victim)


def test_killed_subscribers_lose_repeat_and_reorder_nothing(
    world: World, chance: random.Random
) -> None:
    world.start_relay()
    for name in world.names:
        world.start_subscriber(name)
    _rounds(world, chance, 6, world.names)

    world.finish()


@pytest.mark.parametrize("address", ["tcp", "ipc"], indirect=True)
def test_a_killed_relay_loses_repeats_and_reorders_nothing(
    world: World, chance: random.Random
) -> None:
    world.start_relay()
    for name in world.names:
        world.start_subscriber(name)
    _rounds(world, chance, 6, ["relay"])

    world.finish()


@pytest.mark.chaos_long
@pytest.mark.parametrize("last", [400_000])
@pytest.mark.parametrize("victims", [["relay"], ["app", "audit"], ["relay", "app", "audit"]])
@pytest.mark.timeout(1200)
def test_a_hundred_kills_lose_repeat_and_reorder_nothing(
    world: World, chance: random.Random, victims: list[str]
) -> None:
    world.start_relay()
    for name in world.names:
        world.start_subscriber(name)
    _rounds(world, chance, 100, victims)

    world.finish()


@pytest.mark.parametrize("who", ["relay", "app"])
def test_freezing_for_longer_than_the_heartbeat_loses_nothing(world: World, who: str) -> None:
    world.start_relay()
    for name in world.names:
        world.start_subscriber(name)
    world.wait_for("app", 2000)
    world.freeze(who)
    time.sleep(2 * 3 * SETTINGS["heartbeat"])  # the freeze is what is tested
    world.thaw(who)

    world.finish()


def test_a_relay_that_was_frozen_cannot_be_replaced_and_goes_on(world: World) -> None:
    world.start_relay()
    for name in world.names:
        world.start_subscriber(name)
    world.wait_for("app", 1000)
    world.freeze("relay")
    world.start_relay(called="second")
    time.sleep(1)  # the second one tries all the while
    world.thaw("relay")

    world.finish()


def test_a_subscriber_that_comes_late_has_everything(world: World) -> None:
    world.start_relay()
    world.start_subscriber("app")
    world.wait_for("app", 500)
    world.start_subscriber("audit")

    world.finish()


def test_a_required_subscriber_that_is_gone_for_ever_is_named(world: World) -> None:
    world.start_relay(no_progress_timeout=0.5)
    world.start_subscriber("app")
    eventually(lambda: "'audit' has not acknowledged event 1 " in world.output("relay"), "it", 60)

    assert "it is not connected" in world.output("relay")
