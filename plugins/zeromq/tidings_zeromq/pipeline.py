"""One exchange and its subscribers: who has what, who needs what next."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tidings.plugins import MAX_EVENT_ID, escaping_logger
from tidings_zeromq.acknowledged import Acknowledged
from tidings_zeromq.backlog import Backlog, Reach
from tidings_zeromq.recent_events import RecentEvents
from tidings_zeromq.selection import decode_selection
from tidings_zeromq.sent_feed import Budget, SentFeed
from tidings_zeromq.supply import Supply
from tidings_zeromq.wire import NO_ID, encode_beginning, encode_refusal

if TYPE_CHECKING:
    from tidings.plugins import ExchangeContext, ProducerContext
    from tidings_zeromq.endpoint import Endpoint
    from tidings_zeromq.selection import Selection, Traits
    from tidings_zeromq.settings import ZeroMQSettings
    from tidings_zeromq.wire import Request

    _Reader = tuple[str, int | None]  # a subscriber's name, and the partition that it reads

log = escaping_logger("tidings.zeromq")

_PROBE_SECONDS = 10.0
_KEPT_NAMES = 1000
_MOST_UNREAD = 2  # times window_bytes, that one connection may leave lying


class Pipeline:
    """What is sent to one exchange, and what its subscribers have acknowledged of it.

    The exchange's memory outlives it: which subscribers are not believed, and the id each of them
    named.

    Used by one thread at a time.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        settings: ZeroMQSettings,
        context: ExchangeContext,
        event_store: ProducerContext,
    ) -> None:
        position = context.position
        self.accepted_id: int | None = None
        self.recent = RecentEvents(position.event_id, settings.window, settings.window_bytes)
        self._endpoint = endpoint
        self._exchange_name = context.exchange_name
        self._settings = settings
        self._backlog = Backlog(context.exchange_name, event_store)
        self._start_id = position.event_id
        self._store = position.store
        self._foreign: set[str] = set()
        self._partitions = context.partitions
        self._acknowledged = Acknowledged(settings.subscribers, context.partitions, self.clock)
        self._probed_at = time.monotonic()
        self._first_since = self.clock()
        self._first_id: int | None = None
        self._feeds: dict[bytes, SentFeed] = {}
        self._ahead: dict[_Reader, int] = context.memory.setdefault("ahead", {})
        self._budgets = {name: Budget(settings.window_bytes) for name in settings.subscribers}
        self._others = Budget(settings.window_bytes)
        self._supply = Supply(context.exchange_name, self.recent, self._backlog)

    def clock(self) -> float:
        """Return seconds, by a clock that stands still while the event store is waited for.

        Nobody is heard meanwhile, or sent anything: it must not be held against a subscriber.
        """
        return time.monotonic() - self._backlog.seconds

    def send(self, event_id: int, event: bytes, traits: Traits) -> None:
        """Take an event; the next :meth:`serve` sends it."""
        self.recent.append(event_id, event, traits)
        if event_id <= self._acknowledged.everywhere:
            self._accept()

    def serve(self) -> float:
        """Hear what the subscribers say, and send them what they lack.

        One step for each; does not wait. Returns in how many seconds there is more to do even if
        nothing arrives.
        """
        for connection, request in self._endpoint.requests(self._exchange_name).items():
            self._hear(connection, request)
        now = time.monotonic()
        self._note_first(self.clock())
        delay = _PROBE_SECONDS
        probe = now - self._probed_at >= _PROBE_SECONDS
        if probe:
            self._probed_at = now
        for connection, feed in list(self._feeds.items()):
            if feed.room and feed.sent_id < self.recent.newest_id:
                delay = min(delay, self._supply.send_what_is_lacking(feed, now))
            feed.tell_omission()
            if probe:
                feed.begin()
            if feed.gone:
                feed.end()
                del self._feeds[connection]
        return delay

    def connected(self) -> list[str]:
        """Return the names of the subscribers that are served, one for each connection."""
        return [feed.name for feed in self._feeds.values()]

    def behind(self) -> dict[str, float]:
        """Return the required subscribers that keep an event from being accepted.

        With each, since when it has acknowledged nothing new of what it owes, by :meth:`clock`.
        What else is sent meanwhile puts that off no more than what the others acknowledge.
        """
        first = self.recent.first_unaccepted_id
        return {
            name: max(self._acknowledged.advanced_at(name, first), self._first_since)
            for name in self._settings.subscribers
            if self._acknowledged.of(name) < first
        }

    def _note_first(self, now: float) -> None:
        """Note since when the first unaccepted event has been that, and been on its way."""
        first = self.recent.first_unaccepted_id if self.recent.unaccepted else None
        if first != self._first_id:
            self._first_id, self._first_since = first, now

    def describe(self, name: str) -> str:
        """Say, for a person, how a required subscriber stands and what to do about it."""
        address = self._settings.bind
        if name in self._foreign:
            return (
                "the events that it has are of another event store. Start the subscriber anew, "
                "with last_id = 0 or that of the last event that both stores have, and no store"
            )
        ahead = [event_id for (each, _), event_id in self._ahead.items() if each == name]
        if ahead:
            return (
                f"it says that it has event {ahead[0]}, which the event store did not "
                "hold then: was the database restored, or is it another one? Start the subscriber "
                "anew from a lower id, that of the last event that both have"
            )
        if name not in self.connected():
            return (
                f"it is not connected to {address}: start it, or take it out of `subscribers`"
                + self._describe_refused()
            )
        unread = self._unread_partitions(name)
        if unread:
            return (
                f"no process of it reads partition(s) {', '.join(map(str, unread))} at {address}: "
                "start one for each"
            )
        known = self._acknowledged.of(name)
        done = f"it stands at event {known}" if known > NO_ID else "it has acknowledged none"
        return f"it is connected to {address}, and {done}: see what keeps it"

    def _unread_partitions(self, name: str) -> list[int]:
        """Return those that nobody reads, of a subscriber whose processes read one each."""
        read = {each.selection.partition for each in self._feeds.values() if each.name == name}
        return [each for each in range(self._partitions) if not read & {None, each}]

    def _describe_refused(self) -> str:
        if not self._endpoint.refused:
            return ""
        return (
            f". {self._endpoint.refused} CURVE key(s) that are not among curve_clients were "
            "refused: see the log"
        )

    def _hear(self, connection: bytes, request: Request) -> None:
        feed = self._feeds.get(connection)
        selection = decode_selection(request.selection)
        if feed is not None and feed.nonce == request.nonce:
            if request.last_id <= feed.sent_id:
                feed.received(request.last_id)
                self._acknowledge(request, feed.selection)
            return
        if (
            self._is_of_another_store(connection, request)
            or self._is_ahead_of_the_store(request, selection)
            or self._is_refused(connection, request, selection)
        ):
            if feed is not None:  # it takes nothing of that feed any more
                feed.end()
                del self._feeds[connection]
            return
        self._acknowledge(request, selection)
        new = self._feeds[connection] = SentFeed(
            self._endpoint,
            connection,
            request.name,
            request.nonce,
            self._start_of(request, selection),
            capacity=self._settings.window,
            budget=self._budgets.get(request.name, self._others),
            store=self._store,
            selection=selection,
        )
        if feed is not None:
            new.follow(feed)
        new.begin()
        if new.unread > _MOST_UNREAD * self._settings.window_bytes:
            self._endpoint.cut(connection, "it asks again and again, and takes nothing it is sent")

    def _start_of(self, request: Request, selection: Selection) -> int:
        if request.last_id != NO_ID:
            return request.last_id
        accepted = self._start_id if self.accepted_id is None else self.accepted_id
        known = self._acknowledged.of(request.name, selection.partition)
        if request.name in self._settings.subscribers:
            return max(self._start_id, known)
        return accepted if known == NO_ID else known

    def _acknowledge(self, request: Request, selection: Selection) -> None:
        if self._acknowledged.acknowledge(request.name, selection, request.acknowledged_id):
            self._accept()

    def _accept(self) -> None:
        newly = self.recent.accept(self._acknowledged.everywhere)
        if newly is not None:
            self.accepted_id = newly

    def _is_refused(self, connection: bytes, request: Request, selection: Selection) -> bool:
        """Return whether the subscriber asks for a partition that it cannot have; it hears why."""
        partition = selection.partition
        if partition is None:
            return False
        why = ""
        if selection.of != self._partitions:
            why = (
                f"it asks for partition {partition} of {selection.of}, and the relay's exchange "
                + (f"has {self._partitions}" if self._partitions else "has no partitions")
            )
        elif self._has_another_reader(connection, request.name, selection):
            why = f"another process of it reads partition {partition}"
        if why:
            for_good = selection.of != self._partitions
            self._endpoint.send(connection, encode_refusal(request.nonce, why, for_good=for_good))
        return bool(why)

    def _has_another_reader(self, connection: bytes, name: str, selection: Selection) -> bool:
        for place, feed in list(self._feeds.items()):
            theirs = feed.selection
            if place == connection or feed.name != name or theirs.partition != selection.partition:
                continue
            feed.begin()  # shows whether it is still there
            if not feed.gone and theirs.by != selection.by:
                return True
            feed.end()
            del self._feeds[place]
        return False

    def _is_of_another_store(self, connection: bytes, request: Request) -> bool:
        """Return whether the subscriber's ids are another store's; it hears whose ours are."""
        if not request.store or not self._store or request.store == self._store:
            self._foreign.discard(request.name)
            return False
        self._endpoint.send(
            connection, encode_beginning(request.nonce, max(request.last_id, 0), self._store)
        )
        if request.name not in self._foreign and len(self._foreign) <= _KEPT_NAMES:
            self._foreign.add(request.name)
            self._tell_refused(request.name)
        return True

    def _tell_refused(self, name: str) -> None:
        log.warning(
            "Subscriber %r of exchange %r is sent nothing: %s.",
            name,
            self._exchange_name,
            self.describe(name),
        )

    def _is_ahead_of_the_store(self, request: Request, selection: Selection) -> bool:
        reader = request.name, selection.partition
        # Once ahead, ahead for good: the store grows past that id, but with other events.
        if request.last_id >= self._ahead.get(reader, MAX_EVENT_ID + 1):
            return True
        # After a crash of the relay a subscriber may well be ahead of the tracker, and so of the
        # window. It is never ahead of the event store, unless it has read from another one.
        if request.last_id > self.recent.newest_id:
            reach = self._backlog.reach(request.last_id)
            if reach is Reach.ENDS_BEFORE:
                self._note_ahead(reader, request.last_id)
            if reach is not Reach.THAT_FAR:
                return True
        self._ahead.pop(reader, None)
        return False

    def _note_ahead(self, reader: _Reader, last_id: int) -> None:
        name, _ = reader
        if name not in self._settings.subscribers and len(self._ahead) > _KEPT_NAMES:
            return
        self._ahead[reader] = last_id
        self._tell_refused(name)
