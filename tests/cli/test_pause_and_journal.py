"""``tidings pause``, ``resume`` and ``journal``: what was done, by whom, and what comes of it."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tidings import ConfigurationError, Tidings
from tidings.interfaces import JournalEntry
from tidings.testing import eventually

if TYPE_CHECKING:
    from tests.command import Project

FAILED = "shop  ada@host  failed: "
EVENT = '{"type_name": "Ordered", "body": {}}\n'


@pytest.fixture
def shop(empty: Project) -> Project:
    """Give a project with three events, and an exchange that has had none of them."""
    empty.configure(
        """
        [event_store]
        url = "sqlite:///events.db"

        [exchanges.shop]
        producer = "jsonlines"
        on_poison = "quarantine"

        [producers.jsonlines]
        path = "shop.jsonl"
        """
    )
    empty.succeed("init", "--tables")
    empty.succeed("append", stdin=EVENT * 3)
    return empty


def status(shop: Project) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shop.succeed("status", "--json").out)["exchanges"][0]
    return found


def journal(shop: Project, *options: str) -> list[dict[str, Any]]:
    lines = shop.succeed("journal", "--json", *options).out.splitlines()
    return [json.loads(line) for line in lines]


def words(shop: Project, *options: str) -> list[tuple[str | None, str]]:
    return [(entry["exchange"], entry["what"]) for entry in journal(shop, *options)]


def test_a_paused_exchange_is_carried_by_nobody_until_it_is_resumed(shop: Project) -> None:
    said = shop.succeed("pause", "shop", "--reason", "stock\x1b[2J taking").out
    assert said == "Exchange 'shop' is paused. `tidings resume shop` lets it go on.\n"
    again = shop.succeed("pause", "shop", "--reason", "another")
    assert "is paused already, and stays so for the reason that was given first" in again.out

    spread = shop.run("spread")
    assert spread.code == 1
    assert "paused by" in spread.err
    assert r"(stock\x1b[2J taking). `tidings resume shop` lets it go on." in spread.err
    found = status(shop)
    assert found["state"] == "paused"
    assert found["problem"]["reason"].endswith(": stock\x1b[2J taking")
    assert r"shop: paused (since 20" in shop.succeed("status", "--fail").out
    assert "ok      exchange shop: jsonlines; paused (since" in shop.succeed("check").out

    assert shop.succeed("resume", "shop").out == "Exchange 'shop' is paused no longer.\n"
    assert shop.succeed("resume", "shop").out == "Exchange 'shop' was not paused.\n"
    assert shop.succeed("spread").out == "3 notification(s) sent!\n"
    assert words(shop) == [("shop", "paused"), ("shop", "resumed")]


def test_a_running_relay_stands_still_and_goes_on(shop: Project) -> None:
    with shop.running("run") as relay:
        relay.wait_for_log("carried by this relay")
        shop.succeed("pause", "shop")
        relay.wait_for_log("paused. Exchange 'shop' is paused by")
        assert status(shop)["relay"] is None
        assert len(status(shop)["standbys"]) == 1
        shop.succeed("append", stdin=EVENT)
        shop.succeed("resume", "shop")
        relay.wait_for_log("no longer paused")
        assert relay.terminate() == 0
    assert words(shop, "shop") == [
        ("shop", "started"),
        ("shop", "lease taken"),
        ("shop", "paused"),
        ("shop", "stands paused"),
        ("shop", "resumed"),
        ("shop", "lease taken"),
        ("shop", "goes on"),
        ("shop", "ended"),
    ]


def test_what_a_person_did_is_in_the_journal_with_name_and_machine(shop: Project) -> None:
    with sqlite3.connect(shop.folder / "events.db") as database:
        database.execute("UPDATE event SET body = 'no JSON' WHERE event_id < 3")
    database.close()
    shop.succeed("spread")
    shop.succeed("quarantine", "drop", "shop", "1")
    assert shop.run("quarantine", "retry").code == 1
    shop.succeed("quarantine", "drop", "shop", "2")
    shop.succeed("replay", "shop", "--from", "3")
    shop.succeed("spread")
    shop.succeed("prune", "--keep", "1")

    found = journal(shop)
    assert [(each["exchange"], each["what"], each["detail"]) for each in found] == [
        ("shop", "dropped", "event 1 left the quarantine unsent"),
        ("shop", "sent again", "0 of 1 event(s) in quarantine"),
        ("shop", "dropped", "event 2 left the quarantine unsent"),
        ("shop", "replayed", "from event 3 on; it had got to 3"),
        (None, "pruned", "2 event(s)"),
    ]
    assert all("@" in each["who"] for each in found)
    assert [each["what"] for each in journal(shop, "shop", "--limit", "2")] == [
        "dropped",
        "replayed",
    ]


def test_the_journal_is_shown_from_a_time_on_and_escaped(shop: Project) -> None:
    assert shop.succeed("journal").out == "Nothing is in the journal.\n"
    with sqlite3.connect(shop.folder / "events.db") as database:
        database.executemany(
            "INSERT INTO relay_journal (exchange_name, what, who, detail, noted_on, repeated)"
            " VALUES ('shop', 'failed', ?, ?, ?, ?)",
            [
                ("ada@host", "a\nb\x1b[2J", "2026-01-02T03:04:05.000006+00:00", 7),
                ("ada@host", "later", "2026-01-03T03:04:05.000006+00:00", 0),
            ],
        )
    database.close()

    assert shop.succeed("journal").out.splitlines() == [
        rf"2026-01-02 03:04:05 UTC  {FAILED}a\nb\x1b[2J (7 more like it were left out before)",
        f"2026-01-03 03:04:05 UTC  {FAILED}later",
    ]
    assert [e["detail"] for e in journal(shop, "--since", "2026-01-03T00:00:00Z")] == ["later"]
    assert journal(shop, "--since", "1s") == []
    wrong = shop.run("journal", "--since", "2026-01-03T00:00:00")
    assert wrong.code == 2
    assert "has no time zone" in wrong.err


@pytest.mark.parametrize("options", [(), ("--follow",), ("--since", "1d"), ("--json",)])
def test_the_journal_of_an_exchange_that_there_never_was_is_refused(
    shop: Project, options: tuple[str, ...]
) -> None:
    wrong = shop.run("journal", "shup", *options)

    assert wrong.code == 2
    assert wrong.err == "Error: No exchange 'shup' is configured. Did you mean 'shop'?\n"


def test_the_journal_of_an_exchange_that_was_configured_once_is_shown(shop: Project) -> None:
    shop.succeed("pause", "shop")
    shop.configure((shop.folder / "tidings.toml").read_text().replace("shop]", "store]"))

    assert words(shop, "shop") == [("shop", "paused")]
    assert words(shop, "shop", "--since", "2099-01-01T00:00:00Z") == []
    assert shop.succeed("journal", "store").out == "Nothing is in the journal.\n"


@pytest.mark.parametrize("nonsense", ["", "soon", "-1d", "2026-13-01", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_is_none_is_refused_with_all_that_may_be_written(
    shop: Project, nonsense: str
) -> None:
    wrong = shop.run("journal", "--since", nonsense)

    assert wrong.code == 2
    assert "is neither an age nor a time; write 2h, 3d, or 2026-01-31T12:00:00Z." in wrong.err


def test_following_shows_none_of_what_a_limit_left_out(shop: Project) -> None:
    for _ in range(3):
        shop.succeed("pause", "shop")
        shop.succeed("resume", "shop")
    with shop.running("journal", "--limit", "1", "--follow", "--json") as following:
        eventually(lambda: '"what": "resumed"' in following.out, "the newest entry", 60)
        shop.succeed("pause", "shop")
        eventually(lambda: '"what": "paused"' in following.out, "what came since", 60)
        assert following.terminate() == 143
        found = [json.loads(line)["what"] for line in following.out.splitlines()]
        assert found == ["resumed", "paused"]


def test_following_shows_what_comes(shop: Project) -> None:
    shop.succeed("pause", "shop")
    with shop.running("journal", "--follow", "--json") as following:
        eventually(lambda: '"what": "paused"' in following.out, "the first entry", 60)
        shop.succeed("resume", "shop")
        eventually(lambda: '"what": "resumed"' in following.out, "the next entry", 60)
        assert following.terminate() == 143
        assert following.out.count('"paused"') == 1


def test_following_shows_all_of_what_comes_at_once(
    shop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shop.folder)
    with shop.running("journal", "--follow", "--json") as following:
        shop.succeed("pause", "shop")
        eventually(lambda: '"what": "paused"' in following.out, "the first entry", 60)
        with Tidings.from_file() as tidings:
            now = datetime.now(UTC)
            many = [JournalEntry("shop", "held", "ada@host", str(n), now) for n in range(2500)]
            tidings.tracker.write_journal(many, most=10_000, longest=timedelta(days=1))
        eventually(lambda: '"detail": "2499"' in following.out, "the last of many", 60)
        found = [json.loads(line)["detail"] for line in following.out.splitlines()]

    assert found[1:] == [str(n) for n in range(2500)]


def test_a_command_is_done_though_its_journal_is_gone(shop: Project) -> None:
    with sqlite3.connect(shop.folder / "events.db") as database:
        database.execute("DROP TABLE relay_journal")
    database.close()

    paused = shop.run("pause", "shop")
    assert paused.code == 0
    assert "The journal cannot be written" in paused.err
    assert status(shop)["state"] == "paused"
    assert "lacks a table" in shop.run("journal").err


def test_a_tracker_that_keeps_neither_is_named(
    shop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidings.sql.tracker.SqlAlchemyTracker.capabilities", frozenset())
    with Tidings.from_file(shop.folder / "tidings.toml") as tidings:
        with pytest.raises(ConfigurationError, match="backend: 'sqlalchemy' keeps no journal"):
            tidings.journal()
        with pytest.raises(ConfigurationError, match="'sqlalchemy' cannot keep an exchange paused"):
            tidings.pauses()
