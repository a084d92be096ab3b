"""Who holds a lease: which process, on which machine."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import uuid
from pathlib import Path


def current_owner() -> str:
    """Return a text that names this process and no other, ever.

    Host and process id are for people; the machine (its boot and its process namespace) and the
    process's start tell a restarted relay whether the holder of a lease still lives.
    """
    pid = os.getpid()
    return f"host={platform.node()[:80]} pid={pid} started={_started(pid)} machine={_machine()}"


def is_gone(owner: str) -> bool:
    """Return whether ``owner`` was a process of this machine that no longer lives.

    ``False`` where it cannot be known: another machine, another container, a text of other making.
    """
    fields = dict(part.partition("=")[::2] for part in owner.split(" "))
    if fields.get("machine") != _machine() or not fields.get("pid", "").isdigit():
        return False
    return _started(int(fields["pid"])) != fields.get("started")


def _machine() -> str:
    """Return a short name of what process ids are unique in."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        namespace = str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        boot, namespace = f"{uuid.getnode():x}", platform.node()
    return hashlib.sha256(f"{boot} {namespace}".encode()).hexdigest()[:12]


def _started(pid: int) -> str:
    """Return when the process started, as the system tells it; empty where it lives no longer.

    Not psutil's ``create_time``: that is a wall-clock time, and moves when the clock is set.
    """
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return ""
        return "" if fields[0] in "ZX" else fields[19]
    found = subprocess.run(  # noqa: S603 - a number is its only argument
        ["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return found.stdout.strip().replace(" ", "_")
