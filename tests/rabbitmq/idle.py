"""An exchange with nothing to send, treated as a relay treats it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tidings.plugins import OpenExchange


def stay_idle(exchange: OpenExchange, seconds: float) -> int:
    """Wait for events, which do not come, for so long; return how often the exchange was served."""
    nothing = threading.Event()
    until = time.monotonic() + seconds
    served = 0
    while time.monotonic() < until:
        nothing.wait(exchange.longest_silence)
        exchange.wait(0.005)
        served += 1
    return served
