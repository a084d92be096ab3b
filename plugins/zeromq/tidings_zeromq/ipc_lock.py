"""A lock beside an ipc:// address: libzmq itself lets a second relay take the first one's place."""

from __future__ import annotations

import fcntl
import os

from tidings.plugins import BrokerRefusedError, ExchangeLockedError


class IpcLock:
    """Held while the relay listens at an ``ipc://`` address; the system lets go of a dead one's.

    The file stays: removing it would let two relays lock two files of one name.
    """

    def __init__(self, address: str, exchange_name: str) -> None:
        path = address.removeprefix("ipc://") + ".lock"
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise BrokerRefusedError(
                f"Exchange {exchange_name!r}: cannot listen at {address}: {path}: "
                f"{error.strerror}. Correct `bind`, or the folder's permissions.",
                exchange_name=exchange_name,
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise ExchangeLockedError(
                f"Exchange {exchange_name!r}: {address} is taken by another relay. One relay at a "
                "time listens there: stop the other, or give this exchange another `bind`.",
                exchange_name=exchange_name,
            ) from error

    def release(self) -> None:
        """Let another relay listen there."""
        os.close(self._descriptor)
