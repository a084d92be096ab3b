"""Who holds a lease: which relay, of which process, on which machine."""

from __future__ import annotations

import hashlib
import itertools
import os
import platform
import re
import subprocess
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import override

if TYPE_CHECKING:
    from tidings.interfaces import TrackedExchange

_OWNER = re.compile(r" pid=(?P<pid>[0-9]{1,9}) started=(?P<started>\S+) machine=(?P<machine>\S+)$")
_LABEL = re.compile(r"host=(?P<host>.*) relay=[0-9]+ pid=(?P<pid>[0-9]{1,9}) ")
_relays = itertools.count(1)


class Owner:
    """Names one relay: no other one, of this process or of any other, ever has the same text.

    Host and process id are for people. The machine (its boot and its process namespace) and the
    process's start tell a restarted relay whether the holder of a lease still lives.
    """

    def __init__(self) -> None:
        self._relay = next(_relays)
        self.reached: dict[str, TrackedExchange] = {}
        """By exchange, where this relay last saw its position. A tracker may forget that."""

    @override
    def __str__(self) -> str:
        pid = os.getpid()  # asked each time: a fork is another process
        host = platform.node()[:80]
        return (
            f"host={host} relay={self._relay} pid={pid} started={_started(pid)} "
            f"machine={_machine()}"
        )


def label(owner: str) -> str:
    """Return a relay's name for people: ``host:pid``; a text of other making as it is."""
    found = _LABEL.match(owner)
    return owner if found is None else f"{found['host']}:{found['pid']}"


def is_gone(owner: str) -> bool:
    """Return whether ``owner`` was a process of this machine that no longer lives.

    ``False`` if it cannot be known: another machine, another container, a process that we may
    not see, a text of other making.
    """
    found = _OWNER.search(owner)
    if found is None or found["machine"] != _machine():
        return False
    try:
        return _started(int(found["pid"])) != found["started"]
    except OSError:
        return False


def _machine() -> str:
    """Return a short name of what process ids are unique in."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        boot, namespace = f"{uuid.getnode():x}", platform.node()
    return hashlib.sha256(f"{boot} {namespace}".encode()).hexdigest()[:12]


def _started(pid: int) -> str:
    """Return when the process started, as the system tells it; empty if it lives no longer.

    ``OSError`` if the system does not tell. Not psutil's ``create_time``: that is a wall-clock
    time, and moves when the clock is set.
    """
    if Path("/proc/self/stat").exists():
        try:
            return _start_ticks(Path(f"/proc/{pid}/stat").read_bytes())
        except (FileNotFoundError, ProcessLookupError):
            if _exists(pid):
                raise  # another user's, and /proc is mounted with hidepid
            return ""
    found = subprocess.run(  # noqa: S603 - a number is its only argument
        ["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return found.stdout.strip().replace(" ", "_")


def _start_ticks(stat: bytes) -> str:
    """Return the 22nd field of ``/proc/PID/stat``; empty if the process is dead already."""
    # The second field, the command's name, may hold anything; it ends with the last parenthesis.
    state, *fields = stat.rpartition(b")")[2].decode().split()
    return "" if state in "ZX" else fields[18]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
