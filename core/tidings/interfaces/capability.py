"""What a part can do beyond what every part of its kind can."""

from __future__ import annotations

import enum


class Capability(enum.StrEnum):
    """What a part can do beyond what every part of its kind can.

    The part says so itself, in its ``capabilities``; the contract suite holds it to that. A method
    that belongs to a capability is called only if the part declares it.
    """

    MOST_RECENT_ACCEPTED = "most_recent_accepted"
    """Producer. The broker remembers the newest event it has; nothing is published twice after a
    crash."""

    REMEMBERS_DURABLY = "remembers_durably"
    """Producer. What ``most_recent_accepted`` says, and all it stands for, survives the broker's
    crash: the tracker may be moved there. Without it, only own acceptance moves the tracker."""

    LOCK = "lock"
    """Producer. The broker lets only one producer at a time publish to an exchange."""

    UNROUTABLE = "unroutable"
    """Producer. A message that no subscriber's queue would get is not accepted. With a broker that
    doesn't tell, such a message is lost: then the backend's README says so."""

    OUT_OF_ORDER = "out_of_order"
    """Producer. An exchange that was opened again also takes an event whose id is lower than the
    newest it has had. One that was in quarantine can be sent again."""

    WAIT_SETTLES = "wait_settles"
    """Producer. ``wait`` also sends what is held back, and hears of what is accepted. It keeps the
    no-progress time, too: once the broker has been silent for so long, it raises what ``flush``
    would. That time begins when an event becomes the first that is not accepted. Neither the end of
    a ``wait`` nor another ``send`` begins it anew. Then the relay goes on looking for new events
    while others are in flight, and calls ``wait`` in short turns. Without it, the relay calls
    ``flush``, and looks for new events when that has returned."""

    ROUTING = "routing"
    """Producer. A message's ``routing_key`` goes along, so that subscribers can choose by it.
    Without it an exchange that is configured with one is refused.

    Consumer. It can be told which routing keys it is to get (``select``)."""

    PARTITIONS = "partitions"
    """Producer. It takes an exchange that is parted (``ExchangeContext.partitions``): each message
    goes to its ``partition``, and those of one partition stay in order. Without it an exchange that
    is configured with partitions is refused.

    Consumer. It can be told which partitions it is to get (``select_partitions``)."""

    QUARANTINE = "quarantine"
    """Tracker. It keeps what an exchange passes because it can never be sent (the methods of
    ``Quarantine``)."""

    NOTES = "notes"
    """Tracker. It keeps why an exchange stands still, and which relays stand by (``note_stop``,
    ``note_idle``, ``forget_idle``)."""

    JOURNAL = "journal"
    """Tracker. It keeps what happened to exchanges, and who did it (the methods of ``Journal``)."""

    PAUSE = "pause"
    """Tracker. It keeps which exchanges somebody has paused (the methods of ``Pauses``)."""

    SCHEMA = "schema"
    """Tracker and event store. It has tables, which an older version may have made (``migrate``,
    and the event store's ``ddl``)."""

    WAKE_UP = "wake_up"
    """Event store. It can wait until there may be something new (``wait``)."""

    PRUNE = "prune"
    """Event store. It can delete events that are no longer needed (``prune``)."""

    RENUMBER = "renumber"
    """Event store. It can give events new ids that nobody would read under theirs
    (``renumber``)."""
