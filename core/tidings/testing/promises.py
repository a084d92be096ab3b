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
    MOST_RECENT_MEANS = (
        "The broker remembers the newest id it has; nothing is published twice after a crash."
    )
    GENERATION = (
        "Says ``None`` for what the broker remembers of another generation than the one given to "
        "``open``."
    )
    WAIT = "Raises where the connection is found lost, so that an idle relay notices."
    LOCK = "The broker lets only one producer at a time publish to an exchange."
    OUT_OF_ORDER = (
        "An exchange that was opened anew also takes an event whose id is lower than the newest it "
        "has had."
    )


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
    WAIT = "Wait up to ``seconds`` for an event that may be new since the last read."
    WAIT_TELLS = "``True``, at once, where one may have been committed since the last read began"
    CREATE = "Create what the store needs, where it isn't there yet. Idempotent."
    CLOSE = "Give back connections. Idempotent; the store may be used again."
    EVENT = "The event's data: JSON text, exactly as stored."
    TIME = "When it happened: UTC, to the microsecond."


class Tracker:
    """Sentences of ``PublishedMessageTracker``."""

    ONE_POSITION = "Keeps one position for each exchange name, and who may move it."
    FENCED = (
        "A relay that was paused until its lease had gone to another moves nothing, and is told so "
        "by `LeaseLostError`."
    )
    DURABLE = "When a method returns, its effect has been committed."
    THREADS = "Every method may be called from any thread."
    POSITION = "Return the id of the newest event the exchange has had, ``None`` before the first."
    TRACK = "Move the exchange's position to ``notification`` and renew the lease, in one step."
    ACQUIRE = "Take the exchange's lease, and read its position, in one step."
    HELD = (
        "Raises `LeaseHeldError` where another owner holds one that has not expired, unless "
        "``in_place_of`` is the epoch of that very lease (its holder is known to be dead)."
    )
    ONE_SUCCEEDS = "Of any number of callers at once, one succeeds."
    EPOCH_GROWS = "Grows with each holder; every move of the position compares it."
    RENEW = "Let the lease run for its full time again; ``LeaseLostError`` where it has gone."
    RELEASE = "Idempotent; does nothing where another has it."
    REPLAY = (
        "Begins a new generation, and takes the lease from whoever holds it: a running relay "
        "stops, and starts again from there."
    )
    TRACKED_EXCHANGES = "Return every exchange that has a row, by name."
    CREATE = "Create what the tracker needs, where it isn't there yet. Idempotent."
    CLOSE = "Give back connections. Idempotent; the tracker may be used again."
    STOP = "Keep why the exchange stands still, until its position moves or it is replayed."
    NOT_READY = Store.NOT_READY
    UNAVAILABLE = Store.UNAVAILABLE


class Quarantine:
    """Sentences of ``Quarantine``."""

    NOTED = "Note the event and move the exchange's position to it, in one step; renew the lease."
    NOT_BACK = (
        "The position never goes back. An event that is here already has its reason replaced."
    )
    FENCED = (
        "Raises `LeaseLostError`, with nothing changed, where the lease is no longer the newest."
    )
    LIST = "Return those of one exchange, or of all, by exchange and id."
    RETRY = "Ask the exchange's relay to send one event again, or all; return how many there are."
    DROP = "Forget that event: the exchange will never have it. Return whether it was there."


class Serializing:
    """Sentences of ``Serializer``."""

    MESSAGE = "Makes a message's body, content type and headers of a stored event."
    PURE = "The same event gives the same bytes, always; no state, no input or output."
    THREADS = "May be called from any thread."
    REFUSED = (
        "Raises ``ValueError``, with a reason for a person, where this event cannot be encoded"
    )


class Consumer:
    """Sentences of ``MessageConsumer``."""

    ORDER = "Messages come in the order in which the broker holds them."
    AGAIN = (
        "One that was received and not acknowledged before `close`, or before a crash, comes again."
    )
    LAZY = "Making it connects to nothing."
    ERRORS = "are those below `DeliveryError`."
    OPEN = "Connect, and make sure that this subscriber's queue exists, so that nothing passes it."
    REOPEN = "One exchange at a time; may be opened again after `close`."
    RECEIVE = "Return the next message, or ``None`` when none came within ``timeout`` seconds."
    ACKNOWLEDGE = "Say that ``message`` need not come again."
    CLOSE = "Let go. Idempotent, never raises."
