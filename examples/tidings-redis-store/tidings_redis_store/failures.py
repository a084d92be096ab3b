"""What redis raises, as the errors that the interfaces name."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from tidings.plugins import EventStoreError, StoreNotReadyError, StoreUnavailableError
from tidings_redis_store.settings import RedisStoreSettings

NOT_READY = "TIDINGS-NOT-READY"
"""What our scripts answer if `create` was never called."""

TAKES_NOTHING = ("OOM", "MISCONF", "READONLY", "NOREPLICAS", "LOADING")
"""What Redis' answers begin with if it takes nothing just now."""


@contextmanager
def failures_of(settings: RedisStoreSettings) -> Iterator[None]:
    """Turn what redis raises into the errors that the interfaces name."""
    try:
        yield
    except redis.RedisError as error:
        raise _explained(error, settings) from None


def not_ready(settings: RedisStoreSettings) -> StoreNotReadyError:
    """Return the error for a store that nobody has made."""
    return StoreNotReadyError(
        f"Redis at {settings.address} holds nothing of tidings below {settings.prefix!r}: "
        "run `tidings init --tables`."
    )


def _explained(error: redis.RedisError, settings: RedisStoreSettings) -> EventStoreError:
    reason = str(error).rpartition(" of pipeline caused error: ")[2].strip().rstrip(".")
    if NOT_READY in reason:
        return not_ready(settings)
    if isinstance(error, redis.AuthenticationError | redis.exceptions.NoPermissionError):
        return EventStoreError(
            f"Redis at {settings.address} refuses us: {reason}. Check user and password in `url`, "
            "and what that user may do."
        )
    if isinstance(error, redis.ConnectionError | redis.TimeoutError):
        return StoreUnavailableError(f"Redis at {settings.address} does not answer: {reason}.")
    if reason.startswith(TAKES_NOTHING):
        return StoreUnavailableError(
            f"Redis at {settings.address} takes nothing just now: {reason}."
        )
    return EventStoreError(f"Redis at {settings.address} failed: {reason}.")
