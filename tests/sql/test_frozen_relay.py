"""A relay's process that is stopped for longer than its lease moves nothing when it wakes."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from tidings.errors import LeaseHeldError
from tidings.testing import eventually

if TYPE_CHECKING:
    from tidings.interfaces import Lease
    from tidings.sql.settings import SqlAlchemySettings
    from tidings.sql.tracker import SqlAlchemyTracker

PAUSED = """
import sys
from datetime import UTC, datetime
from tidings.errors import LeaseLostError
from tidings.event import StoredEvent
from tidings.sql.settings import SqlAlchemySettings
from tidings.sql.tracker import SqlAlchemyTracker

tracker = SqlAlchemyTracker(SqlAlchemySettings(url=sys.stdin.readline().strip()))
lease = tracker.acquire_lease("shop", "frozen", 0.5)
print("holds", flush=True)
sys.stdin.readline()
event = StoredEvent(7, "A", "{}", datetime.now(UTC))
try:
    tracker.track_most_recent_published_message("shop", event, lease)
    print("moved")
except LeaseLostError as error:
    print(error)
"""


def test_a_process_stopped_until_another_took_over_moves_nothing_and_says_so(
    tracker: SqlAlchemyTracker, settings: SqlAlchemySettings
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PAUSED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    taken: list[Lease] = []

    def taken_over() -> bool:
        try:
            taken.append(tracker.acquire_lease("shop", "standby", 30))
        except LeaseHeldError:
            return False
        return True

    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(settings.url.get_secret_value() + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "holds\n"
        process.send_signal(signal.SIGSTOP)
        # Whatever it still had to say would be read now, not later.
        process.stdin.write("wake up\n")
        process.stdin.flush()
        eventually(taken_over, "the lease of the stopped process to expire")
        process.send_signal(signal.SIGCONT)
        assert process.stdout.read().startswith("This relay has lost the lease of exchange 'shop'")
    assert process.returncode == 0
    assert tracker.most_recent_published_message_id("shop") is None
    tracker.renew_lease(taken[0])
