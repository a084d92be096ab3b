"""What goes wrong, one function a fault; each plays one round on a stage under load."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from tests.chaos.stage import Stage
    from tests.servers import Server
    from tidings.testing.proxy import TcpProxy

LOAD = 8000
"""Events that are added to the backlog in each round."""


@dataclass(frozen=True)
class Fault:
    """A fault, and what it needs."""

    name: str
    play: Callable[[Stage], None]
    needs_broker: bool = False
    needs_proxy: bool = False
    kills_relay: bool = False


def kill_relay(stage: Stage) -> None:
    """Kill -9 the relay at a random moment, and start another at once, as a supervisor would."""
    relay = stage.relays[0] if stage.relays else stage.start_relay()
    stage.progresses()
    stage.pause(0.3)
    stage.kill(relay)
    stage.start_relay()
    stage.progresses()


def kill_broker(stage: Stage) -> None:
    """Kill -9 the broker at a random moment; start it again."""
    _ensure_relay(stage)
    stage.pause(0.3)
    server = _server(stage)
    server.kill()
    server.restart()
    stage.progresses()


def kill_both(stage: Stage) -> None:
    """Kill -9 both at once."""
    _ensure_relay(stage)
    stage.pause(0.3)
    server = _server(stage)
    server.kill()
    stage.kill(stage.relays[0])
    server.restart()
    stage.start_relay()
    stage.progresses()


def freeze_broker(stage: Stage) -> None:
    """SIGSTOP the broker for longer than heartbeats and lease."""
    _ensure_relay(stage)
    stage.pause(0.3)
    server = _server(stage)
    server.freeze()
    time.sleep(14)  # the fault itself: longer than two heartbeats and the lease
    server.thaw()
    stage.progresses()


def freeze_relay(stage: Stage) -> None:
    """SIGSTOP the relay for longer than its lease while another stands by; then let it go on."""
    first = _ensure_relay(stage)
    stage.start_relay()
    stage.pause(0.3)
    first.send_signal(signal.SIGSTOP)
    stage.progresses()
    stage.pause(0.3)
    first.send_signal(signal.SIGCONT)
    stage.progresses()
    stage.terminate(first)
    stage.progresses()


def two_relays(stage: Stage) -> None:
    """Start two at once; kill the older one while the other stands by, or works."""
    stage.start_relay()
    stage.start_relay()
    stage.progresses()
    stage.pause(0.3)
    while len(stage.relays) > 1:
        stage.kill(stage.relays[0])
    stage.progresses()
    stage.kill(stage.relays[0])


def cut_connection(stage: Stage) -> None:
    """Cut every connection to the broker with a reset."""
    _ensure_relay(stage)
    stage.pause(0.3)
    _proxy(stage).cut()
    stage.progresses()


def freeze_connection(stage: Stage) -> None:
    """Let nothing through, in neither direction, with the connection standing (half-open)."""
    _ensure_relay(stage)
    stage.pause(0.3)
    _proxy(stage).freeze()
    time.sleep(9)  # the fault itself
    _proxy(stage).thaw()
    stage.progresses()


def terminate_relay(stage: Stage) -> None:
    """SIGTERM under full load: exit 0 within five seconds."""
    relay = _ensure_relay(stage)
    stage.pause(0.3)
    code, seconds = stage.terminate(relay)
    assert code == 0, stage.log_end()
    assert seconds < 5, f"SIGTERM took {seconds:.1f} s"
    stage.start_relay()
    stage.progresses()


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("kill relay", kill_relay, kills_relay=True),
        Fault("SIGTERM relay", terminate_relay),
        Fault("kill broker", kill_broker, needs_broker=True),
        Fault("kill both", kill_both, needs_broker=True, kills_relay=True),
        Fault("freeze broker", freeze_broker, needs_broker=True),
        Fault("freeze relay", freeze_relay),
        Fault("two relays", two_relays, kills_relay=True),
        Fault("cut connection", cut_connection, needs_broker=True, needs_proxy=True),
        Fault("freeze connection", freeze_connection, needs_broker=True, needs_proxy=True),
    )
}


def _ensure_relay(stage: Stage) -> subprocess.Popen[bytes]:
    if not stage.relays:
        stage.start_relay()
    stage.progresses()
    return stage.relays[0]


def _server(stage: Stage) -> Server:
    assert stage.backend.server is not None
    return stage.backend.server


def _proxy(stage: Stage) -> TcpProxy:
    assert stage.proxy is not None
    return stage.proxy
