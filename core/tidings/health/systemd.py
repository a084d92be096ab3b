"""Tells systemd of a relay: ready, stopping, alive, and what it does (sd_notify(3))."""

from __future__ import annotations

import os
import socket
from collections import Counter
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING

from tidings.shown import escaping_logger, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tidings.relay.pulse import Vitals
    from tidings.relay.worker import Worker

log = escaping_logger(__name__)

LOOK_AGAIN = 1.0
LONGEST_STATUS = 400
_LAST_JOIN = 5.0


@contextmanager
def notifying(environ: Mapping[str, str], worker: Worker, stuck_seconds: float) -> Iterator[None]:
    """Tell systemd of ``worker`` until it shuts down; the watchdog only while it is live.

    What cannot be told is no reason not to work.
    """
    teller = _Teller(environ, worker, stuck_seconds)
    teller.tell("READY=1", teller.status())
    thread = Thread(target=teller.run, name="tidings-systemd", daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join(_LAST_JOIN)
        teller.close()


class _Teller:
    def __init__(self, environ: Mapping[str, str], worker: Worker, stuck_seconds: float) -> None:
        self._worker = worker
        self._stuck_seconds = stuck_seconds
        self._address = _address(environ["NOTIFY_SOCKET"])
        self._feed_each = _feed_each(environ)
        self._was_live = True
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def run(self) -> None:
        """Tell what changes, and feed the watchdog, until the worker shuts down."""
        told = ""
        delay = min(LOOK_AGAIN, self._feed_each or LOOK_AGAIN)
        while not self._worker.wait_for_shutdown(delay):
            lines = [] if self.status() == told else [told := self.status()]
            if self._feed_each and self._is_live():
                lines.append("WATCHDOG=1")
            if lines:
                self.tell(*lines)
        self.tell("STOPPING=1", "STATUS=stopping")

    def tell(self, *lines: str) -> None:
        """Send one message; nothing is waited for."""
        try:
            self._socket.sendto("\n".join(lines).encode(errors="replace"), self._address)
        except OSError as error:
            log.debug("systemd did not hear %s: %s", ", ".join(lines), error)

    def status(self) -> str:
        """Return what the relay does, in a line."""
        return f"STATUS={_summary(self._worker.vitals(), self._stuck_seconds)}"

    def close(self) -> None:
        self._socket.close()

    def _is_live(self) -> bool:
        """Return whether all of them are; tell once in the log if they no longer are."""
        stuck = _why_not_live(self._worker.vitals(), self._stuck_seconds)
        if stuck and self._was_live:
            log.error("systemd's watchdog is fed no longer. %s", "; ".join(stuck))
        self._was_live = not stuck
        return self._was_live


def _why_not_live(vitals: Sequence[Vitals], stuck_seconds: float) -> list[str]:
    found = [(each.exchange_name, each.why_not_live(stuck_seconds)) for each in vitals]
    return [f"{name}: {why}" for name, why in found if why]


def _summary(vitals: Sequence[Vitals], stuck_seconds: float) -> str:
    """Return how many exchanges are how, and what is wrong with the first that does not work."""
    states = Counter(each.state for each in vitals)
    counted = ", ".join(f"{count} {state}" for state, count in states.items())
    reasons = _why_not_live(vitals, stuck_seconds) + [
        f"{each.exchange_name}: {each.reason}"
        for each in vitals
        if each.reason and not each.is_ready
    ]
    return shown("; ".join([f"{len(vitals)} exchange(s): {counted}", *reasons[:1]]))[
        :LONGEST_STATUS
    ]


def _address(text: str) -> str:
    return f"\0{text[1:]}" if text.startswith("@") else text


def _feed_each(environ: Mapping[str, str]) -> float | None:
    """Return the seconds after which the watchdog is fed again; ``None`` if none watches us."""
    pid = environ.get("WATCHDOG_PID", "")
    microseconds = environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or (pid and pid != str(os.getpid())):
        return None
    return int(microseconds) / 1_000_000 / 3 or None
