"""JSON Lines: each line whole, none twice, whatever happens to the file."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from typing import TYPE_CHECKING

import pytest

from tests.builtin.lines import WHEN, ids, lines, message, opened, write
from tests.remembered import newest_id
from tidings import BrokerRefusedError, BrokerUnavailableError, ExchangeLockedError
from tidings.builtin import json_lines_file
from tidings.builtin.json_lines import JsonLinesProducer, JsonLinesSettings

if TYPE_CHECKING:
    from pathlib import Path


def test_nothing_is_accepted_before_it_is_written(tmp_path: Path) -> None:
    producer = opened(path := tmp_path / "out.jsonl")
    producer.send("x", message(), "A", 1, WHEN)
    assert producer.accepted_id("x") is None
    assert path.read_bytes() == b""

    producer.flush("x")
    assert producer.accepted_id("x") == 1


def test_much_is_written_before_it_is_flushed(tmp_path: Path) -> None:
    producer = opened(tmp_path / "out.jsonl")
    big = message(b'"' + b"x" * 100_000 + b'"')
    for event_id in (1, 2, 3, 4):
        producer.send("x", big, "A", event_id, WHEN)

    assert producer.accepted_id("x") == 3


def test_close_forgets_what_was_not_flushed_and_open_goes_on(tmp_path: Path) -> None:
    producer = opened(path := tmp_path / "out.jsonl")
    write(producer, 1)
    producer.send("x", message(), "A", 2, WHEN)
    producer.close("x")
    producer.close("x")
    producer.open("x")

    write(producer, 3)
    assert ids(path) == [1, 3]


def test_a_line_torn_by_a_crash_is_cut_before_the_next(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write(opened(path), 1)
    with path.open("ab") as file:
        file.write(b'{"exchange":"x","event_id":2,"type_na' + b"x" * 200_000)

    producer = opened(path)
    assert newest_id(producer, "x") == 1
    write(producer, 2)
    assert ids(path) == [1, 2]


@pytest.mark.parametrize("torn", [b'{"exch', b"{", b'{"exchange":"'])
def test_a_line_torn_at_its_beginning_is_cut_where_a_line_of_ours_stands_before_it(
    tmp_path: Path, torn: bytes
) -> None:
    path = tmp_path / "out.jsonl"
    write(opened(path), 1)
    with path.open("ab") as file:
        file.write(torn)

    write(opened(path), 2)
    assert ids(path) == [1, 2]


def test_opening_mends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(torn := b'{"exchange":"x","event_id":2,"type_na')

    opened(path).close("x")
    assert path.read_bytes() == torn


@pytest.mark.parametrize(
    "foreign",
    [
        b'{"exchange":"NYSE","price":3}',
        b'{"name": "shop", "version": "1.0"}',
        b"SQLite format 3\0" + bytes(5000),
        b"a line\nand one without an end",
        b'{"exch',
    ],
)
def test_a_file_of_others_is_refused_and_left_as_it_is(tmp_path: Path, foreign: bytes) -> None:
    path = tmp_path / "package.json"
    producer = opened(path)
    path.write_bytes(foreign)

    with pytest.raises(BrokerRefusedError, match="Nothing in it was changed") as caught:
        write(producer, 1)
    assert caught.value.event_id == 1
    with pytest.raises(BrokerRefusedError, match="tidings did not write it"):
        opened(path)
    assert path.read_bytes() == foreign


def test_a_line_torn_by_another_writer_meanwhile_is_cut_too(tmp_path: Path) -> None:
    producer = opened(path := tmp_path / "out.jsonl")
    with path.open("ab") as file:
        file.write(b'{"exchange":"y","event_id":2,"type_na')

    write(producer, 1)
    assert ids(path) == [1]


def test_two_exchanges_in_one_file_each_find_their_own_end(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    x, y = opened(path, "x"), opened(path, "y")
    write(x, 1, 2, exchange="x")
    write(y, 1, exchange="y")
    write(y, *range(2, 3000), exchange="y")

    assert newest_id(opened(path, "x"), "x") == 2
    assert newest_id(opened(path, "y"), "y") == 2999
    assert newest_id(opened(path, "z"), "z") is None
    assert newest_id(opened(path, ""), "") is None


def test_a_relay_that_was_frozen_writes_nothing_behind_another_ones_lines(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write(opened(path), 1)
    frozen = opened(path)
    frozen.send("x", message(), "A", 2, WHEN)
    write(opened(path, "y"), *range(1, 1000), exchange="y")
    write(opened(path), 2, 3)

    with pytest.raises(ExchangeLockedError, match="another relay has written its events to"):
        frozen.flush("x")
    assert frozen.accepted_id("x") is None
    assert [each["event_id"] for each in lines(path) if each["exchange"] == "x"] == [1, 2, 3]
    frozen.close("x")
    frozen.open("x")
    assert newest_id(frozen, "x") == 3
    write(frozen, 4, 5)
    assert newest_id(opened(path), "x") == 5


def test_a_file_that_stays_locked_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_lines_file, "PATIENCE", 0.1)
    producer = opened(path := tmp_path / "out.jsonl")
    told = "another process has kept it locked for 0.1 s"
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BrokerUnavailableError, match=told):
            write(producer, 1)
        with pytest.raises(BrokerUnavailableError, match=told):
            opened(path)
    producer.flush("x")
    assert ids(path) == [1]


def test_writers_at_once_leave_only_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"

    def many(exchange: str) -> None:
        producer = opened(path, exchange)
        for event_id in range(1, 51):
            write(producer, event_id, exchange=exchange)

    threads = [threading.Thread(target=many, args=[f"x{n}"]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = lines(path)
    for n in range(4):
        assert [each["event_id"] for each in found if each["exchange"] == f"x{n}"] == list(
            range(1, 51)
        )


def test_a_line_that_another_process_is_still_writing_is_left_alone(tmp_path: Path) -> None:
    producer = opened(path := tmp_path / "out.jsonl")
    appending = threading.Thread(target=write, args=[producer, 1])
    with path.open("ab", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(b'{"event_id":')
        appending.start()
        appending.join(0.3)
        file.write(b"9}\n")
    appending.join()

    assert ids(path) == [9, 1]


def test_a_line_that_only_looks_like_ours_is_no_end(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b'{"exchange":"x","event_id":oops}\n')

    assert newest_id(opened(path), "x") is None


def test_what_was_written_before_a_replay_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write(opened(path), 1, 2)

    replayed = opened(path, generation=1)
    assert newest_id(replayed, "x", generation=1) is None
    write(replayed, 1)
    assert newest_id(opened(path, generation=1), "x", generation=1) == 1
    assert newest_id(opened(path, generation=0), "x", generation=0) is None


def test_what_a_killed_relay_wrote_is_on_the_disk_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.jsonl"
    write(opened(path), 1)
    producer = opened(path)
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))

    assert newest_id(producer, "x") == 1
    assert synced == [path.stat().st_ino]

    def fail(_file: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(BrokerUnavailableError, match="Input/output error"):
        newest_id(producer, "x")


def test_lines_of_others_at_the_end_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write(opened(path), 1)
    with path.open("ab") as file:
        file.write(b'null\n[]\n\n\xff\n{"exchange":"xx","event_id":9}\n')

    assert newest_id(opened(path), "x") == 1


def test_the_exchanges_name_can_stand_in_the_path(tmp_path: Path) -> None:
    producer = JsonLinesProducer(JsonLinesSettings(path=str(tmp_path / "a/{exchange}/b.jsonl")))
    for exchange in ("x", "y"):
        producer.open(exchange)
        write(producer, 1, exchange=exchange)

    assert ids(tmp_path / "a/x/b.jsonl") == ids(tmp_path / "a/y/b.jsonl") == [1]


def test_after_a_rotation_lines_go_into_a_new_file(tmp_path: Path) -> None:
    producer = opened(path := tmp_path / "out.jsonl")
    write(producer, 1)
    path.rename(tmp_path / "out.1.jsonl")
    write(producer, 2)
    path.rename(tmp_path / "out.2.jsonl")
    path.touch()  # as logrotate's `create` does
    write(producer, 3)

    assert ids(tmp_path / "out.1.jsonl") == [1]
    assert ids(tmp_path / "out.2.jsonl") == [2]
    assert ids(path) == [3]
    assert newest_id(producer, "x") == 3


def test_after_a_deletion_with_its_folder_lines_go_into_a_new_file(tmp_path: Path) -> None:
    producer = opened(path := tmp_path / "a" / "out.jsonl")
    write(producer, 1)
    path.unlink()
    path.parent.rmdir()

    write(producer, 2)
    assert ids(path) == [2]


def test_lines_written_while_the_file_goes_away_are_in_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    producer = opened(path := tmp_path / "out.jsonl")
    write(producer, 1)
    fsync = os.fsync

    def rotated_meanwhile(descriptor: int) -> None:
        monkeypatch.undo()
        fsync(descriptor)
        path.rename(tmp_path / "out.1.jsonl")

    monkeypatch.setattr(os, "fsync", rotated_meanwhile)
    write(producer, 2)
    assert ids(path) == [2]


def test_a_file_cut_in_its_place_is_told_of_and_written_to(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    producer = opened(path := tmp_path / "out.jsonl")
    write(producer, 1, 2)
    os.truncate(path, 0)  # as logrotate's `copytruncate` does
    write(producer, 3)
    write(producer, 4)

    assert ids(path) == [3, 4]
    (record,) = caplog.records
    assert f"{path} was cut while lines were appended to it" in record.getMessage()
