"""JSON Lines: each line whole, none twice, whatever happens to the file."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidings import BrokerRefusedError, BrokerUnavailableError, UndeliverableEventError
from tidings.builtin import json_line
from tidings.builtin.json_lines import JsonLinesProducer, JsonLinesSettings
from tidings.interfaces import Notification, NotificationMessage, Position

if TYPE_CHECKING:
    from collections.abc import Mapping

WHEN = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


def message(
    body: bytes = b'{"n":1}',
    headers: Mapping[str, str] = {},
    content_type: str = "application/json",
) -> NotificationMessage:
    return NotificationMessage(body, content_type, headers)


def opened(path: Path | str | None, exchange: str = "x", generation: int = 0) -> JsonLinesProducer:
    producer = JsonLinesProducer(JsonLinesSettings(path=None if path is None else str(path)))
    producer.open(exchange, Position(0, generation))
    return producer


def write(producer: JsonLinesProducer, *event_ids: int, exchange: str = "x") -> None:
    for event_id in event_ids:
        producer.send(exchange, message(), "A", event_id, WHEN)
    producer.flush(exchange)


def lines(path: Path) -> list[dict[str, Any]]:
    text = path.read_text(encoding="utf-8")
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def ids(path: Path) -> list[int]:
    return [line["event_id"] for line in lines(path)]


def test_a_line_holds_everything_known_of_the_event(tmp_path: Path) -> None:
    producer = opened(path := tmp_path / "out.jsonl", generation=2)
    headers = {"aggregate_id": "é", "metadata": '{"user": 7}', "trace": "t"}
    producer.send("x", message(b'{"n": 1.00}', headers), "Order Placed", 7, WHEN)
    producer.flush("x")

    assert path.read_text(encoding="utf-8") == (
        '{"exchange":"x","event_id":7,"type_name":"Order Placed",'
        '"occurred_on":"2026-01-02T03:04:05.000006+00:00","generation":2,"aggregate_id":"é",'
        '"metadata":{"user": 7},"headers":{"trace":"t"},"body":{"n": 1.00}}\n'
    )


@pytest.mark.parametrize(
    ("body", "embedded"),
    [
        (b'{\r\n  "a": 1\n}', '{    "a": 1 }'),
        (b"1e400", "1e400"),
        (b'"\\ud800"', '"\\ud800"'),
        (b"12345678901234567890.10", "12345678901234567890.10"),
    ],
)
def test_a_json_body_stays_as_it_is_but_for_line_ends(body: bytes, embedded: str) -> None:
    line = json_line.line("x", 0, Notification(message(body), "A", 1, WHEN))

    assert line.endswith(f'"body":{embedded}}}\n'.encode())
    assert line.count(b"\n") == 1


@pytest.mark.parametrize(
    "sent",
    [
        message(b"\xff\x00", content_type="application/octet-stream"),
        message(b"not json"),
        message(b""),
        message('{"utf": 16}'.encode("utf-16")),
        message(b"[" * 100_000),
    ],
)
def test_any_other_body_stands_in_base64(sent: NotificationMessage) -> None:
    line = json.loads(json_line.line("x", 0, Notification(sent, "A", 1, WHEN)))

    assert "body" not in line
    assert base64.b64decode(line["body_base64"]) == sent.body
    assert line["content_type"] == sent.content_type


@given(st.binary(), st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_whatever_is_sent_is_one_line(body: bytes, type_name: str, text: str) -> None:
    sent = message(body, {"aggregate_id": text, "metadata": text, text: text})
    line = json_line.line("x", 0, Notification(sent, type_name, 9, WHEN))

    assert line.count(b"\n") == 1
    assert json.loads(line)["type_name"] == type_name
    assert json_line.event_id_of(line, 0) == 9


def test_text_that_no_file_can_hold_is_poison_and_nothing_else(tmp_path: Path) -> None:
    producer = opened(path := tmp_path / "out.jsonl")
    producer.send("x", message(), "A", 1, WHEN)

    with pytest.raises(UndeliverableEventError) as caught:
        producer.send("x", message(headers={"aggregate_id": "\ud800"}), "A", 2, WHEN)

    assert caught.value.event_id == 2
    write(producer, 3)
    assert ids(path) == [1, 3]


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
    assert producer.most_recent_accepted_id("x") == 1
    write(producer, 2)
    assert ids(path) == [1, 2]


def test_a_file_that_is_one_torn_line_is_emptied(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b'{"exch')

    write(opened(path), 1)
    assert ids(path) == [1]


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

    assert opened(path, "x").most_recent_accepted_id("x") == 2
    assert opened(path, "y").most_recent_accepted_id("y") == 2999
    assert opened(path, "z").most_recent_accepted_id("z") is None
    assert opened(path, "").most_recent_accepted_id("") is None


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

    assert opened(path).most_recent_accepted_id("x") is None


def test_what_was_written_before_a_replay_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write(opened(path), 1, 2)

    replayed = opened(path, generation=1)
    assert replayed.most_recent_accepted_id("x") is None
    write(replayed, 1)
    assert opened(path, generation=1).most_recent_accepted_id("x") == 1
    assert opened(path, generation=0).most_recent_accepted_id("x") is None


def test_lines_of_others_at_the_end_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write(opened(path), 1)
    with path.open("ab") as file:
        file.write(b'null\n[]\n\n\xff\n{"exchange":"xx","event_id":9}\n')

    assert opened(path).most_recent_accepted_id("x") == 1


def test_the_exchanges_name_can_stand_in_the_path(tmp_path: Path) -> None:
    producer = JsonLinesProducer(JsonLinesSettings(path=str(tmp_path / "a/{exchange}/b.jsonl")))
    for exchange in ("x", "y"):
        producer.open(exchange)
        write(producer, 1, exchange=exchange)

    assert ids(tmp_path / "a/x/b.jsonl") == ids(tmp_path / "a/y/b.jsonl") == [1]


def test_a_deleted_file_is_noticed_and_nothing_in_it_accepted(tmp_path: Path) -> None:
    producer = opened(path := tmp_path / "out.jsonl")
    write(producer, 1)
    path.unlink()

    with pytest.raises(BrokerUnavailableError, match="it was deleted meanwhile"):
        write(producer, 2)
    assert producer.accepted_id("x") == 1
    producer.close("x")
    producer.open("x")
    write(producer, 2)
    assert ids(path) == [2]


def test_a_renamed_file_keeps_its_lines(tmp_path: Path) -> None:
    producer = opened(path := tmp_path / "out.jsonl")
    write(producer, 1)
    path.rename(tmp_path / "out.1.jsonl")

    write(producer, 2)
    assert ids(tmp_path / "out.1.jsonl") == [1, 2]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_is_told_and_nothing_is_accepted() -> None:
    producer = opened("/dev/full")

    with pytest.raises(
        BrokerUnavailableError,
        match="Exchange 'x': cannot write to /dev/full: No space left on device",
    ) as caught:
        write(producer, 1)
    assert caught.value.event_id == 1
    assert producer.accepted_id("x") is None


LIMITED = """
import resource, signal, sys
from pathlib import Path
from tests.builtin.test_json_lines import ids, opened, write

path = Path(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
producer = opened(path)
write(producer, 1)
room = path.stat().st_size * 2 + 10
resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
write(producer, 2)
try:
    write(producer, 3, 4)
except Exception as error:
    print(type(error).__name__, producer.accepted_id("x"), ids(path))
"""


def test_a_disk_that_fills_up_in_the_middle_of_a_line_keeps_whole_lines(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", LIMITED, tmp_path / "out.jsonl"],
        check=True,
        capture_output=True,
        text=True,
    )

    assert found.stdout == "BrokerUnavailableError 2 [1, 2]\n"


def test_a_device_takes_lines_and_remembers_nothing() -> None:
    producer = opened("/dev/null")
    write(producer, 1)

    assert producer.accepted_id("x") == 1
    assert producer.most_recent_accepted_id("x") is None


def test_what_can_never_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    reasons = {
        tmp_path: "Is a directory",
        tmp_path / "file" / "below": "Not a directory|File exists",
        tmp_path / "pipe": "it is not a file",
    }
    for path, reason in reasons.items():
        with pytest.raises(BrokerRefusedError, match=f"cannot write to {path}: ({reason})"):
            opened(path)


UNPRIVILEGED = """
import os, sys
from tests.builtin.test_json_lines import opened
os.setuid(65534)
try:
    opened(sys.argv[1])
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    # In a folder of its own: pytest's belongs to root alone.
    path = tmp_path / "out.jsonl"
    path.touch(mode=0o600)

    found = subprocess.run(
        [sys.executable, "-c", UNPRIVILEGED, path], check=True, capture_output=True, text=True
    )

    assert found.stdout == (
        f"BrokerRefusedError Exchange 'x': cannot write to {path}: Permission denied. "
        "Change `path`, or the permissions.\n"
    )


def test_standard_output_gets_whole_lines_after_what_was_printed() -> None:
    code = (
        "from tests.builtin.test_json_lines import opened, write\n"
        "print('before')\np = opened(None)\nprint('and this')\nwrite(p, 1, 2)\nprint('after')\n"
        "assert p.most_recent_accepted_id('x') is None\nassert p.accepted_id('x') == 2"
    )

    environ = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    found = subprocess.run(
        [sys.executable, "-c", code], env=environ, check=True, capture_output=True, text=True
    ).stdout.splitlines()

    assert found[:2] == ["before", "and this"]
    assert [json.loads(line)["event_id"] for line in found[2:4]] == [1, 2]
    assert found[4:] == ["after"]


def test_without_a_standard_output_a_path_is_asked_for() -> None:
    code = (
        "import sys\nfrom tests.builtin.test_json_lines import opened\nsys.stdout = None\n"
        "try:\n    opened(None)\nexcept Exception as error:\n    print(error, file=sys.stderr)"
    )

    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert found.stderr == (
        "Exchange 'x': there is no standard output to write to. Set the producer's `path`.\n"
    )


def test_a_reader_that_has_gone_is_told() -> None:
    code = (
        "from tests.builtin.test_json_lines import opened, write\nimport sys\n"
        "p = opened(None)\ninput()\n"
        "try:\n    write(p, 1)\nexcept Exception as error:\n    print(error, file=sys.stderr)\n"
        "    print(p.accepted_id('x'), file=sys.stderr)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, said = process.communicate(b"go\n", timeout=30)

    assert said.decode().splitlines() == [
        "Exchange 'x': cannot write to standard output: Broken pipe.",
        "None",
    ]


def test_an_exchange_that_is_not_open_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    producer = opened(tmp_path / "out.jsonl")

    with pytest.raises(RuntimeError, match="'y' is not open"):
        producer.send("y", message(), "A", 1, WHEN)
    with pytest.raises(RuntimeError, match="'x' is open already"):
        producer.open("x")
