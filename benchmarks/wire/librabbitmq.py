"""RabbitMQ: the C client, if there is a compiler and the library."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measuring import Sample, foreign
from benchmarks.stored import messages
from benchmarks.wire.amqp import APP_ID, declare, headers
from benchmarks.wire.pieces import piece_messages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidings import NotificationMessage, StoredEvent

SOURCE = Path(__file__).with_suffix(".c")
_PROBE = "#include <amqp.h>\nint main(void) { return amqp_version_number() == 0; }\n"
_HEAD = struct.Struct("=QL")
_LENGTH = struct.Struct("=L")


class NotThereError(Exception):
    """What is missing to run the C client, in two words for a table."""


def compiled(folder: Path) -> Path:
    """Compile the C client into ``folder`` and return it.

    Raises :class:`NotThereError` if the machine cannot.
    """
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise NotThereError("no compiler")
    probe = folder / "probe.c"
    probe.write_text(_PROBE)
    if _compile(compiler, probe, folder / "probe").returncode:
        raise NotThereError("no librabbitmq")
    program = folder / "librabbitmq"
    ended = _compile(compiler, SOURCE, program)
    if ended.returncode:
        raise RuntimeError(f"{SOURCE.name} does not compile:\n{ended.stderr}")
    return program


@contextmanager
def publishing(
    exchange_name: str, *, program: Path, url: str, database_url: str, count: int, window: int
) -> Iterator[Callable[[], Sample]]:
    """Publish with `amqp_basic_publish`, in a window of unconfirmed messages."""
    declare(url, exchange_name)
    numbers = (count, window, piece_messages(window))
    with tempfile.NamedTemporaryFile() as file:
        for event, message in messages(database_url, count):
            file.write(_record(event, message))
        file.flush()
        command = [str(program), file.name, exchange_name, APP_ID, *map(str, numbers)]
        # librabbitmq takes a slash at the end for a virtual host without a name.
        yield lambda: foreign(command, {"AMQP_URL": url.rstrip("/")})


def _record(event: StoredEvent, message: NotificationMessage) -> bytes:
    """Write a message as the C client reads it."""
    together = headers(event, message)
    names_and_values = [text for pair in together.items() for text in pair]
    texts = [str(event.event_id), message.content_type, event.type_name, *names_and_values]
    parts = [_HEAD.pack(int(event.occurred_on.timestamp()), len(together))]
    for value in (*(text.encode() for text in texts), message.body):
        parts += (_LENGTH.pack(len(value)), value)
    return b"".join(parts)


def _compile(compiler: str, source: Path, program: Path) -> subprocess.CompletedProcess[str]:
    command = [compiler, "-O2", "-o", str(program), str(source), "-lrabbitmq"]
    return subprocess.run(command, check=False, capture_output=True, text=True)
