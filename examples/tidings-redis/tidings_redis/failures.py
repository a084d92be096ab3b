"""What redis raises, as the errors that the interface names."""

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from tidings.plugins import (
    BrokerRefusedError,
    BrokerUnavailableError,
    DeliveryError,
    ExchangeLockedError,
    NotAcceptedError,
)
from tidings_redis.settings import RedisSettings

FULL = ("maxmemory", "MISCONF", "read only", "NOREPLICAS", "CLUSTERDOWN")
"""What Redis says when it takes nothing just now."""


@contextmanager
def failures_of(exchange_name: str, settings: RedisSettings) -> Iterator[None]:
    """Turn what redis raises into the errors that the interface names."""
    try:
        yield
    except redis.RedisError as error:
        raise _explained(error, exchange_name, settings) from None


def _explained(
    error: redis.RedisError, exchange_name: str, settings: RedisSettings
) -> DeliveryError:
    # Before this, redis quotes the command of a pipeline that failed: the event's own data.
    reason = str(error).rpartition(" of pipeline caused error: ")[2].strip().rstrip(".")
    where = f"exchange {exchange_name!r} (Redis at {settings.address})"
    kind: type[DeliveryError] = BrokerRefusedError
    sentence = f"Redis refuses {where}: {reason}."
    if isinstance(error, redis.AuthenticationError | redis.exceptions.NoPermissionError):
        sentence += " Check user and password in `url`, and what that user may do."
    elif isinstance(error, redis.ConnectionError | redis.TimeoutError):
        kind = BrokerUnavailableError
        sentence = f"Redis does not answer for {where}: {reason}."
    elif "equal or smaller" in reason:
        kind = ExchangeLockedError
        sentence = f"Another relay has published to {where}: the stream is further than this one."
    elif any(word in reason for word in FULL):
        kind = NotAcceptedError
        sentence = f"Redis takes nothing just now for {where}: {reason}."
    return kind(sentence, exchange_name=exchange_name)
