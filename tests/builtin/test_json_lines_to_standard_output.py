"""JSON Lines to standard output: each line whole, whoever else writes, and whatever fails."""

from __future__ import annotations

import errno
import json
import os
import threading
from typing import TYPE_CHECKING

import pytest

from tests.builtin.lines import WHEN, message, opened
from tidings import BrokerUnavailableError, standard_output
from tidings.cli.output import echo_json, end_torn_line

if TYPE_CHECKING:
    from pathlib import Path

BODY = b'"' + b"x" * 500 + b'"'


class Output:
    """A pipe that is the process's standard output, and whoever reads it, by and by."""

    def __init__(self) -> None:
        self._outside, inside = os.pipe()
        self.stream = os.fdopen(inside, "w")
        self._data = b""
        self._reader = threading.Thread(target=self._read)

    def begin_to_read(self) -> None:
        self._reader.start()

    def lines(self) -> list[bytes]:
        """Close it, and return all that was written."""
        self.stream.close()
        self._reader.join()
        os.close(self._outside)
        return self._data.splitlines()

    def _read(self) -> None:
        while data := os.read(self._outside, 10_000):
            self._data += data


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Output:
    output = Output()
    monkeypatch.setattr(standard_output, "_kept", output.stream)
    monkeypatch.setattr(standard_output, "_ends_torn", False)
    return output


def publish(exchange_name: str, first: int, count: int) -> None:
    """Send events, and flush them together."""
    producer = opened(None, exchange_name)
    for event_id in range(first, first + count):
        producer.send(exchange_name, message(BODY), "A", event_id, WHEN)
    producer.flush(exchange_name)
    producer.close(exchange_name)


def test_the_lines_of_exchanges_at_once_stay_whole(output: Output) -> None:
    names, batches, size = "abc", 10, 300

    def work(name: str) -> None:
        for number in range(batches):
            publish(name, number * size + 1, size)

    threads = [threading.Thread(target=work, args=[name]) for name in names]
    for thread in threads:
        thread.start()
    output.begin_to_read()
    for thread in threads:
        thread.join()

    found = [json.loads(line) for line in output.lines()]
    for name in names:
        ids = [line["event_id"] for line in found if line["exchange"] == name]
        assert ids == list(range(1, batches * size + 1))


def test_an_output_that_does_not_wait_by_itself_gets_whole_lines_too(output: Output) -> None:
    os.set_blocking(output.stream.fileno(), False)
    writer = threading.Thread(target=publish, args=["x", 1, 1000])
    writer.start()
    output.begin_to_read()
    writer.join()

    assert [json.loads(line)["event_id"] for line in output.lines()] == list(range(1, 1001))


def test_a_line_that_was_cut_short_takes_no_other_along(
    output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def fill_up(descriptor: int, data: memoryview) -> int:
        monkeypatch.setattr(os, "write", full)
        return write(descriptor, data[:20])

    def full(_descriptor: int, _data: memoryview) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", fill_up)
    for _ in range(2):
        with pytest.raises(BrokerUnavailableError, match="No space left"):
            publish("x", 1, 2)
    monkeypatch.setattr(os, "write", write)
    publish("x", 1, 2)
    publish("x", 3, 1)
    output.begin_to_read()

    cut, *whole = output.lines()
    assert cut == b'{"exchange":"x","eve'
    assert [json.loads(line)["event_id"] for line in whole] == [1, 2, 3]


@pytest.mark.parametrize("before", [b"", b'{"event_id":0}\n', b'{"exchange":"x","event_id":1,"ty'])
def test_a_file_that_is_appended_to_may_end_in_a_line_that_was_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bytes
) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(before)
    with path.open("a") as stream:
        monkeypatch.setattr(standard_output, "_kept", stream)
        monkeypatch.setattr(standard_output, "_ends_torn", None)
        publish("x", 1, 2)
        publish("x", 3, 1)

    found = path.read_bytes()
    assert found.startswith(before)
    lines = found.removeprefix(before).splitlines()
    if before and not before.endswith(b"\n"):
        assert lines.pop(0) == b""  # the end of that one
    assert [json.loads(line)["event_id"] for line in lines] == [1, 2, 3]


def test_what_listen_prints_is_added_to_no_line_that_was_cut_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b'{"event_id":1,"ty')
    with path.open("a") as stream:
        monkeypatch.setattr(standard_output, "_kept", stream)
        monkeypatch.setattr(standard_output, "_ends_torn", None)
        end_torn_line()
        echo_json({"event_id": 1}, indent=None)

    assert path.read_bytes().splitlines() == [b'{"event_id":1,"ty', b'{"event_id": 1}']
