"""The sentences of the interfaces that the suites check, word for word."""

from __future__ import annotations


class Producer:
    """Sentences of ``MessageProducer`` and of the ``OpenExchange`` that it opens."""

    ORDER = (
        "What is sent arrives in the order of the calls of `send`, and within a call in the order "
        "given."
    )
    IDS = "Ids ascend; they need not be contiguous."
    ACCEPTED = (
        '"Accepted" is the broker\'s own word for having the message safely (a confirm, a receipt, '
        'an acknowledgement), never "the socket took it".'
    )
    UNROUTABLE = "A message that the broker gave back, or could route to nobody, is not accepted."
    FAILED = (
        "When a call raises, the exchange is as good as closed: `accepted_id` still tells how far "
        "the broker's word goes. The caller then calls `close`, may open the exchange again, and "
        "sends again what was not accepted."
    )
    NOTHING_DROPPED = (
        "Nothing is dropped silently, nothing is sent again by the producer itself after a failure."
    )
    DEADLINE = (
        "No call blocks for ever: a broker that stops answering ends in `BrokerUnavailableError` "
        "after the producer's own no-progress time."
    )
    NAMES = (
        "An exchange's name has 1 to 127 ASCII letters, digits, dots, dashes or underscores, and "
        "begins with a letter or digit."
    )
    EXCHANGES = "It may serve several exchanges, which don't disturb each other."
    CAPABILITIES = (
        "What this producer, with its settings, can do beyond the interface. Known before it opens "
        "an exchange, and never changes."
    )
    LAZY = "Making it connects to nothing."
    ERRORS = (
        "Errors are those below `DeliveryError`, each a sentence that names the exchange and, if "
        "it is known, the event."
    )
    NO_SECRET = "They hold no secret, and nothing of a body."  # noqa: S105 - says that there is none
    WINDOW = (
        "Blocks while the producer's window is full. The window is bounded in messages and in "
        "bytes."
    )
    LETS_GO = "Whatever it raises, it has let go of everything before."
    UNDELIVERABLE = (
        "If the `send` that was given this very event raises it, the exchange stays usable. What "
        "came before it was taken, nothing from it on was."
    )
    FLUSH = "Return when the broker has accepted everything sent, or raise."
    FLUSH_TIMEOUT = "Raises `BrokerUnavailableError` when it has passed."
    WAIT_SETTLES = "`wait` also sends what is held back, and hears of what is accepted."
    WAIT_KEEPS_TIME = (
        "once the broker has been silent for so long, it raises what `flush` would. That time "
        "begins when an event becomes the first that is not accepted. Neither the end of a `wait` "
        "nor another `send` begins it anew."
    )
    ACCEPTED_ID = "Return the greatest id up to which *everything sent* was accepted."
    ACCEPTED_ID_RISES = (
        "``None`` before the first. Never goes down; does not block; may be asked after a failure "
        "until `close`."
    )
    CLOSE = "Let go of the exchange. Called once; never raises, waits for nothing sent."
    MOST_RECENT = (
        "Return the newest event that the broker itself already holds from us, or ``None``."
    )
    MOST_RECENT_MEANS = (
        "The broker remembers the newest event it has; nothing is published twice after a crash."
    )
    NEVER_AN_ID_ALONE = (
        "An id alone is never believed: another event store, or one that was restored, may have "
        "given it to another event."
    )
    GENERATION = (
        "The broker may remember an event of another generation, or of another store, than those "
        "of the position. Then say so, or ``None``"
    )
    OPENING_KEEPS = "Opening the exchange leaves that memory as it is."
    WAIT = "Raises if the connection is found lost, so that an idle relay notices."
    LOCK = "The broker lets only one producer at a time publish to an exchange."
    OUT_OF_ORDER = (
        "An exchange that was opened again also takes an event whose id is lower than the newest "
        "it has had."
    )
    ROUTING = "A message's `routing_key` goes along, so that subscribers can choose by it."
    PARTITIONS = "each message goes to its ``partition``, and those of one partition stay in order."


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
        "appear. A reader that goes on from the last id it was given misses none, whatever "
        "transactions commit in whatever order."
    )
    TRANSACTION = (
        "`append` takes part in the caller's transaction: what is rolled back was never stored."
    )
    COMMIT = "What fails at the commit is raised, as by every other method."
    NOT_COMMITTED = "Neither commits nor rolls back."
    THREADS = "``append`` may be called from any thread, each with its own connection."
    LAZY = "Making one connects to nothing."
    OBJECTS = "several store objects on one database don't disturb each other."
    UNAVAILABLE = (
        "`StoreUnavailableError` if the database cannot be reached (the next call tries again)"
    )
    WAIT_FAILS = "A connection that fails in it raises nothing."
    NOT_READY = "`StoreNotReadyError` if the tables are missing."
    IN_ORDER = "Store ``events``, in their order, in the caller's transaction."
    ALL_OR_NONE = "All or none: raises `InvalidEventError` before anything is written."
    SINCE = "Return up to ``limit`` events with an id greater than ``event_id``, ascending."
    HELD = (
        "Fewer than ``limit``, even none, if there are no more *or* if one with a lower id may "
        "still appear; `hold` says which."
    )
    BYTES = "What is given at once has at most 16 MiB of bodies and metadata, or is a single event."
    UNREADABLE = (
        "An event that cannot be read ends what is returned. If it is the very next one, raises "
        "`UnreadableEventError`, which names it. A reader may go on from its id, and misses "
        "nothing else."
    )
    UNREADABLE_ONE = "Raises `UnreadableEventError` if it is there and cannot be read."
    STORED_EVENT = "Return the event of that id, or ``None`` if there is none (any more)."
    NEWEST = "Return the greatest id stored and visible, or ``None`` in an empty store."
    COUNT = "Return how many events have an id greater than ``event_id``."
    COUNT_BETWEEN = (
        "Return how many events have an id greater than ``after`` and not greater than ``up_to``. "
        "Counts no further than ``most``"
    )
    HOLD = "Return what holds this reader since its last read, or ``None``."
    WAIT = "Wait up to ``seconds`` for an event that may be new since the last read."
    WAIT_TELLS = (
        "It returns ``Waited.MAY_BE_NEW`` at once if one may have been committed since the last "
        "read began."
    )
    WAIT_RESTS = (
        "If nobody writes, it soon takes the time that it was given: a relay looks after each "
        "``Waited.MAY_BE_NEW``, and would never rest."
    )
    CAPABILITIES = (
        "What this event store, with its settings, can do beyond what every event store can. Known "
        "before it connects, and never changes."
    )
    OLDEST = "Return the least id that is left, after what was deleted"
    PRUNE = "Delete events whose id is not greater than ``up_to``; return how many."
    PRUNE_KEEPS = "The newest ``keep`` of the store stay. At least the newest event always stays"
    PRUNE_TIME = "With a time, only those that occurred before it."
    PRUNE_DRY = "``dry_run`` only counts them."
    RENUMBER = "Give events new ids that readers would pass; return the ids that they had."
    MIGRATE = "Empty if there is nothing to do."
    DDL = "Return the statements that `create` runs, for those who run them themselves."
    IDENTITY = (
        "Return what tells this store from every other one: at most 100 ASCII characters. Made "
        "once, with the store, and kept in it"
    )
    WATCH = "Raise if what `check` found is no longer so, as far as is cheap to see."
    CREATE = "Create what the store needs, if it isn't there yet. Idempotent."
    CLOSE = "Give back connections. Idempotent; the store may be used again."
    EVENT = "The event's data: JSON text, exactly as stored."
    TIME = "When it happened: UTC, to the microsecond."


class Tracker:
    """Sentences of ``PublishedMessageTracker``."""

    ONE_POSITION = "Keeps one position for each exchange name, and who may move it."
    FENCED = (
        "If a relay was frozen until another had taken its lease, it moves nothing, and is told so "
        "by `LeaseLostError`."
    )
    DURABLE = "When a method returns, its effect has been committed."
    THREADS = "Every method may be called from any thread."
    POSITION = "Return the id of the newest event the exchange has had, ``None`` before the first."
    TRACK = "Move the exchange's position to ``event`` and renew the lease, in one step."
    ACQUIRE = "Take the exchange's lease, and read its position, in one step."
    HELD = (
        "Raises `LeaseHeldError` if another owner holds one that has not expired. ``in_place_of`` "
        "is the epoch of a lease whose holder is known to be dead. That very lease, and no later "
        "one, is taken all the same."
    )
    ONE_SUCCEEDS = "Of any number of callers at once, one succeeds."
    EPOCH_GROWS = "grows with each holder; every move of the position compares it."
    TAKEN_FROM = "Who had the lease before, and had not given it back"
    RENEW = "Let the lease run for its full time again; ``LeaseLostError`` if it was lost."
    RENEW_ALL = (
        "Let each of these leases run for its full time again; say of each whether it does. "
        "``False`` means that it was lost."
    )
    RELEASE = "Idempotent; does nothing if another has it."
    REPLAY = (
        "Begins a new generation, and takes the lease from whoever holds it: a running relay "
        "stops, and starts again from there."
    )
    NEVER_AGAIN = (
        "The new generation is greater than the last, and no other replay ever began it. So a "
        "tracker that may be restored from a backup must not count on from there."
    )
    REPLAYED_FIRST = (
        "If it has another one by now, another replay came first: returns ``False``, with nothing "
        "changed."
    )
    GENERATION = "At most ``MAX_EVENT_ID``: brokers keep it in 64 bits, too."
    TRACKED_EXCHANGES = "Return every exchange that has a row, by name."
    TRACKED_EXCHANGE = (
        "Return what `tracked_exchanges` says of one exchange; ``None`` if it has no row."
    )
    TRACKED_OWNER = "Who relays it just now: who holds a lease that has not expired."
    CREATE = "Create what the tracker needs, if it isn't there yet. Idempotent."
    CLOSE = "Give back connections. Idempotent; the tracker may be used again."
    IDLE = "Keep for so many seconds that ``relay`` stands by, or why it cannot work."
    IDLE_REPLACES = "Replaces what the same relay has said."
    IDLE_FORGOTTEN = "Forget what that relay said: it works, or has ended. Idempotent."
    STOP = "Keep why the exchange stands still, until its position moves or it is replayed."
    STOP_FENCED = (
        "Raises `LeaseLostError`, with nothing changed, if the lease is no longer the newest."
    )
    CAPABILITIES = (
        "What this tracker, with its settings, can do beyond what every tracker can. Known before "
        "it connects, and never changes."
    )
    LAZY = Store.LAZY
    NOT_READY = Store.NOT_READY


class Quarantining:
    """Sentences of ``Quarantine``."""

    NOTED = "Note the event and move the exchange's position to it, in one step; renew the lease."
    MARK = (
        "The position's fingerprint is that of an event without a type name, which may be mended."
    )
    NOT_BACK = (
        "The position never goes back. An event that is here already has its reason replaced."
    )
    FENCED = "Raises `LeaseLostError`, with nothing changed, if the lease is no longer the newest."
    LIST = "Return those of one exchange, or of all, by exchange and id."
    RETRY = "Ask the exchange's relay to send one event again, or all; return how many there are."
    DROP = "Forget that event: the exchange will never have it. Return whether it was there."
    COUNT = "Return how many there are of each exchange that has any."
    REPLAYED = "What the exchange will get again leaves its quarantine, in the same step."


class Journaling:
    """Sentences of ``Journal``."""

    WRITE = "Keep these entries, in their order, all or none; their ``entry_id`` says nothing yet."
    IDS = "Given by the tracker; ascending, in the order in which entries were kept."
    BOUND = (
        "Then let go of the oldest, so that not more than ``most`` are kept, and none that is "
        "older than ``longest``. The newest ones stay"
    )
    READ = "Return the newest ``limit`` entries about one exchange, or about any, oldest first."
    THREADS = Tracker.THREADS


class Pausing:
    """Sentences of ``Pauses``."""

    PAUSE = "Let no relay carry the exchange, until `resume`; return whether that is new."
    FIRST = "If it is paused already, it stays so for the reason of the first."
    RESUME = "Let relays carry the exchange again; return whether it was paused."
    SURVIVES = "A pause survives restarts, of relays and of the tracker, and a replay."
    LEASE = "It takes no lease away"
    NAMES = "Return the names of the exchanges that are paused"


class Serializing:
    """Sentences of ``Serializer``."""

    MESSAGE = "Makes a message's body, content type and headers of a stored event."
    PURE = "The same event gives the same bytes, always; no state, no input or output."
    THREADS = "May be called from any thread."
    REFUSED = "Raises ``ValueError``, with a reason for a person, if this event cannot be encoded"


class Consumer:
    """Sentences of ``MessageConsumer``."""

    ORDER = "Messages come in the order in which the broker holds them."
    AGAIN = (
        "One that was received and not acknowledged before `close`, or before a crash, comes again."
    )
    OPENING = (
        "A message belongs to the opening that it came in: a later one refuses it with "
        "``RuntimeError``."
    )
    MISUSE = (
        "**Misuse.** Messages are received only while an exchange is open, and none is opened "
        "while one is. Otherwise ``RuntimeError`` says so, and names the exchange that is open; "
        "nothing has changed."
    )
    SUBSCRIBERS = (
        "Each has a queue of its own: what one has acknowledged comes to every other one all the "
        "same."
    )
    DEADLINE = (
        "No call blocks for ever: a broker that stops answering looks like an empty exchange, or "
        "ends in `BrokerUnavailableError`."
    )
    LAZY = "Making it connects to nothing."
    ERRORS = "are those below `DeliveryError`."
    OPEN = "Connect, and make sure that this subscriber's queue exists, so that nothing passes it."
    RECEIVE = "Return the next message, or ``None`` if none came within ``timeout`` seconds."
    ACKNOWLEDGE = "Say that ``message`` need not come again."
    WAIT = "Pass up to ``seconds``, doing what the connection needs, and take no message."
    CLOSE = "Let go. Idempotent, never raises."
    CAPABILITIES = "What this consumer, with its settings, can do beyond the interface."
    SELECT = (
        "From the next `open` on, get the messages with these routing keys, and no others. A key "
        "means itself"
    )
    SELECT_PARTITIONS = (
        "From the next `open` on, read these partitions of an exchange that has ``of``."
    )
    PARTITIONS = (
        "Messages of one partition come in order, and are with one consumer of a subscriber at a "
        "time, however many read it."
    )
