"""Lets a worker be watched, as its configuration and its environment say."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.bootstrap import Tidings
    from tidings.relay.worker import Worker


@contextmanager
def watched(tidings: Tidings, worker: Worker) -> Iterator[None]:
    """Answer over HTTP, and tell systemd, inside of ``with``; each only if it is asked for."""
    relay = tidings.configuration.relay
    with ExitStack() as stack:
        if relay.http_address is not None:
            from tidings.health.pages import pages_of  # noqa: PLC0415 - only if asked for
            from tidings.health.server import serving  # noqa: PLC0415 - only if asked for

            stack.enter_context(serving(relay.http_address, pages_of(tidings, worker)))
        if "NOTIFY_SOCKET" in os.environ:
            from tidings.health.systemd import notifying  # noqa: PLC0415 - only if asked for

            stack.enter_context(notifying(os.environ, worker, relay.stuck_seconds))
        yield
