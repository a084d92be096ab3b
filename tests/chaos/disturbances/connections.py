"""What networks do between a relay and who listens to it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.chaos.disturbances.disturbance import Disturbance

if TYPE_CHECKING:
    from tests.chaos.stage import Stage
    from tidings.testing.proxy import TcpProxy


def cut_connection(stage: Stage) -> None:
    """Cut every connection with a reset."""
    stage.relay()
    _proxy(stage).cut()
    stage.recovers()


def freeze_connection(stage: Stage) -> None:
    """Let nothing through, in neither direction, with the connection standing (half-open)."""
    stage.relay()
    _proxy(stage).freeze()
    time.sleep(9)  # the disturbance itself: longer than the timeouts
    _proxy(stage).thaw()
    stage.recovers()


def delay_connection(stage: Stage) -> None:
    """Delay every chunk of bytes; the relay works all the time."""
    stage.relay()
    _proxy(stage).delay(0.2)
    stage.works()
    time.sleep(3)  # the disturbance itself
    stage.load()
    stage.works()
    _proxy(stage).delay(0)
    stage.recovers()


def _proxy(stage: Stage) -> TcpProxy:
    assert stage.proxy is not None
    return stage.proxy


DISTURBANCES = (
    Disturbance("cut connection", cut_connection, proxy=True, crashes=1),
    Disturbance("freeze connection", freeze_connection, proxy=True, crashes=1),
    Disturbance("delay connection", delay_connection, proxy=True),
)
