"""A new or a restored database, and a broker that remembers what the last one sent."""

from __future__ import annotations

import itertools
import json
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from tests.command import Project
from tidings.testing import eventually

if TYPE_CHECKING:
    from pathlib import Path

_numbers = itertools.count()

BACKENDS = {
    "rabbitmq": ('url = "{rabbitmq.url}"', 'resume = "tail"'),
    "rabbitmq-stream": ('url = "{rabbitmq.stream_url}"',),
    "activemq": ('url = "{activemq.url}"', 'subscribers = ["app"]'),
    "jsonlines": ('path = "sent.jsonl"',),
}


class Shop(Project):
    """One exchange at one broker, with a database that can be taken away."""

    exchange: str

    def sent(self, count: int) -> list[int]:
        """Return the ids of everything that was sent, which are so many."""
        lines = self.folder / "sent.jsonl"
        if lines.exists():
            text = lines.read_text()
        else:
            # The first may take its time on a busy machine; nothing may come after the last.
            all_of_them = ("--count", str(count), "--timeout", "60")
            text = self.succeed("listen", self.exchange, *all_of_them).out
            text += self.succeed("listen", self.exchange, "--timeout", "1").out
        found = [json.loads(line)["event_id"] for line in text.splitlines()]
        assert len(found) == count
        return found

    def refused(self) -> str:
        """Let the relay try, and look in between; return why it sends nothing."""
        for _ in range(2):
            self.run("check")
            result = self.run("spread", self.exchange)
            assert result.code == 1
        status = self.status(self.exchange)
        assert status["stopped_by"]["reason"] in result.err.replace("\\n", " ")
        return result.err

    def database(self) -> list[Path]:
        return sorted(self.folder.glob("events.db*"))


@pytest.fixture(params=BACKENDS)
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Shop:
    """Give a shop that has sent ten events."""
    shop = Shop(tmp_path)
    word, settings = request.param, "\n".join(BACKENDS[request.param])
    for name in ("rabbitmq", "activemq"):
        if f"{{{name}." in settings:
            settings = settings.format(**{name: request.getfixturevalue(name)})
    object.__setattr__(shop, "exchange", f"another-{next(_numbers)}-{word}")
    shop.configure(
        f"""
        [event_store]
        url = "sqlite:///events.db"

        [exchanges.{shop.exchange}]
        producer = "{word}"

        [producers.{word}]
        {settings}
        """
    )
    shop.succeed("init", "--tables")
    shop.append_numbers(1, 10)
    assert shop.succeed("spread", shop.exchange).out == "10 notification(s) sent!\n"
    return shop


@pytest.mark.parametrize("count", [5, 15])
def test_a_new_database_loses_nothing_to_what_the_broker_remembers(shop: Shop, count: int) -> None:
    for file in shop.database():
        file.unlink()
    shop.succeed("init", "--tables")
    shop.append_numbers(1, count)

    assert "the broker already has event 10" in shop.refused()
    shop.succeed("replay", shop.exchange, "--all")

    assert shop.succeed("spread", shop.exchange).out == f"{count} notification(s) sent!\n"
    assert shop.sent(10 + count) == [*range(1, 11), *range(1, count + 1)]
    shop.append_numbers(1, 1)
    assert shop.succeed("spread", shop.exchange).out == "1 notification(s) sent!\n"


def test_a_restored_database_loses_nothing_whose_id_was_given_out_again(shop: Shop) -> None:
    backup = shop.folder / "backup"
    backup.mkdir()
    for file in shop.database():
        shutil.copy(file, backup)
    shop.append_numbers(11, 20)
    shop.succeed("spread", shop.exchange)
    for file in shop.database():
        file.unlink()
    for file in backup.iterdir():
        shutil.copy(file, shop.folder)
    shop.append_numbers(111, 125)

    assert "the broker already has event 20" in shop.refused()
    shop.succeed("replay", shop.exchange, "--from", "11")

    assert shop.succeed("spread", shop.exchange).out == "15 notification(s) sent!\n"
    assert shop.sent(35) == [*range(1, 21), *range(11, 26)]


def test_a_replay_of_a_restored_database_is_not_taken_for_one_that_was_undone(shop: Shop) -> None:
    backup = shop.folder / "backup"
    backup.mkdir()
    for file in shop.database():
        shutil.copy(file, backup)
    shop.succeed("replay", shop.exchange, "--from", "3")
    replayed_at = int(time.time())
    assert shop.succeed("spread", shop.exchange).out == "8 notification(s) sent!\n"
    for file in shop.database():
        file.unlink()
    for file in backup.iterdir():
        shutil.copy(file, shop.folder)
    eventually(lambda: int(time.time()) > replayed_at, "the clock", 60)
    shop.succeed("replay", shop.exchange, "--from", "5")

    assert shop.succeed("spread", shop.exchange).out == "6 notification(s) sent!\n"
    assert shop.sent(24) == [*range(1, 11), *range(3, 11), *range(5, 11)]
