"""The sentences of the interfaces that the suites check, word for word."""

from __future__ import annotations

from typing import NoReturn

import pytest


def broken(promise: str, found: str) -> NoReturn:
    """Fail the test: ``found`` is what was seen, ``promise`` what the interface says."""
    __tracebackhide__ = True
    pytest.fail(f"{found}\nThe interface promises: {promise}", pytrace=True)


def check(kept: object, promise: str, found: str) -> None:
    """Fail the test unless ``kept``."""
    __tracebackhide__ = True
    if not kept:
        broken(promise, found)


class Producer:
    """Sentences of ``MessageProducer``."""

    ORDER = "What is sent to one exchange arrives there in the order of the calls of `send`."
    IDS = "Ids ascend; they need not be contiguous."
    ACCEPTED = (
        '"Accepted" is the broker\'s own word for having the message safely (a confirm, a receipt, '
        'an acknowledgement), never "the socket took it".'
    )
    UNROUTABLE = "A message that the broker gave back, or could route to nobody, is not accepted."
    FAILED = (
        "When a call raises, the exchange is as good as closed: `accepted_id` still tells how far "
        "the broker's word goes, the caller then calls `close`, may `open` again, and sends anew "
        "what was not accepted."
    )
    NOTHING_DROPPED = (
        "Nothing is dropped silently, nothing is sent again by the producer itself after a failure."
    )
    DEADLINE = (
        "No call blocks for ever: a broker that stops answering ends in `BrokerUnavailableError` "
        "after the producer's own no-progress time."
    )
    EXCHANGES = (
        "One object is used by one thread at a time; it may serve several exchanges, which don't "
        "disturb each other."
    )
    LAZY = "Making it connects to nothing."
    ERRORS = (
        "Errors are those below `DeliveryError`, each a sentence that names the exchange and, "
        "where it is known, the event."
    )
    NO_SECRET = "They hold no secret."  # noqa: S105 - says that there is none
    OPEN_TWICE = "Opening an open exchange is an error of the caller (`RuntimeError`)"
    REOPEN = "an exchange may be opened again after `close`."
    UNDELIVERABLE = (
        "Raises `UndeliverableEventError`, with nothing of this event sent and the exchange still "
        "usable, where this very event can never be sent."
    )
    FLUSH = "Return when the broker has accepted everything sent, or raise."
    FLUSH_TIMEOUT = "Raises `BrokerUnavailableError` when it has passed."
    ACCEPTED_ID = (
        "Return the greatest id up to which *everything sent* since ``open`` was accepted."
    )
    ACCEPTED_ID_RISES = (
        "``None`` before the first. Never goes down while the exchange is open; does not block; "
        "may be asked after a failure until `close`."
    )
    CLOSE = "Let go of the exchange. Idempotent, never raises, waits for nothing sent."
    MOST_RECENT = "Return the newest id that the broker itself already holds from us, or ``None``."
    GENERATION = (
        "Says ``None`` for what the broker remembers of another generation than the one given to "
        "``open``."
    )
    WAIT = "Raises where the connection is found lost, so that an idle relay notices."
    LOCK = "The broker lets only one producer at a time publish to an exchange."


class Wire:
    """What every backend puts on the wire alike."""

    MESSAGE = (
        "The message id is the event's id in decimal; type, body, content type and headers arrive "
        "unchanged; `occurred_on` is exact to the microsecond."
    )


class Store:
    """Sentences of ``EventStore``."""

    ASCENDING = "``event_id`` is unique and ascending."
    NO_GAP = (
        "`all_stored_events_since` never gives an event while one with a lower id may still "
        "appear: a reader that goes on from the last id it was given misses none, whatever "
        "transactions commit in whatever order."
    )
    TRANSACTION = (
        "`append` takes part in the caller's transaction: what is rolled back was never stored."
    )
    NOT_COMMITTED = "Neither commits nor rolls back."
    THREADS = "``append`` may be called from any thread, each with its own connection."
    OBJECTS = "several store objects on one database don't disturb each other."
    UNAVAILABLE = (
        "`StoreUnavailableError` where the database cannot be reached (the next call tries again)"
    )
    NOT_READY = "`StoreNotReadyError` where the tables are missing."
    IN_ORDER = "Store ``events``, in their order, in the caller's transaction."
    ALL_OR_NONE = "All or none: raises `InvalidEventError` before anything is written."
    SINCE = "Return up to ``limit`` events with an id greater than ``event_id``, ascending."
    HELD = (
        "Fewer than ``limit``, even none, when there are no more *or* when one with a lower id may "
        "still appear; `hold` says which."
    )
    STORED_EVENT = "Return the event of that id, or ``None`` where there is none (any more)."
    NEWEST = "Return the greatest id stored and visible, or ``None`` in an empty store."
    COUNT = "Return how many events have an id greater than ``event_id``."
    HOLD = "Return what holds this reader since its last read, or ``None``."
    CREATE = "Create what the store needs, where it isn't there yet. Idempotent."
    CLOSE = "Give back connections. Idempotent; the store may be used again."
    EVENT = "The event's data: JSON text, exactly as stored."
    TIME = "When it happened: UTC, to the microsecond."
