"""The composition root: builds everything that a configuration names.

Nothing connects here; each part connects when it is first used.
"""

from __future__ import annotations

import os
from functools import cached_property, partial
from typing import TYPE_CHECKING, Self

from tidings import config
from tidings.errors import ConfigurationError
from tidings.interfaces import Capability, ObservedRelay
from tidings.plugins.backends import Backends
from tidings.plugins.choosing import choose_partitions, choose_routing_keys
from tidings.plugins.kinds import CONSUMER, EVENT_STORE, OBSERVER, SERIALIZER, TRACKER
from tidings.plugins.registry import PluginRegistry
from tidings.plugins.specs import ProducerContext
from tidings.relay.journal_writer import JournalBounds
from tidings.relay.notification_service import NotificationService
from tidings.relay.observers import Observers
from tidings.relay.route import Route
from tidings.relay.serialized_once import SerializedOnce
from tidings.relay.shared_reader import SharedReader
from tidings.relay.shared_store import SharedStore
from tidings.relay.standings import standings
from tidings.relay.stored_notifications import StoredNotifications
from tidings.relay.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from tidings.config import Configuration
    from tidings.interfaces import (
        EventStore,
        Journal,
        MessageConsumer,
        MessageProducer,
        Pauses,
        PublishedMessageTracker,
        Quarantine,
        Serializer,
        Standing,
    )


class Tidings:
    """What a configuration describes; each part is made when it is asked for.

    What its methods return belongs to the caller, who closes it. :meth:`close`, or the end of a
    ``with``, closes the tracker that all of it shares.

    **Threads.** Every method may be called from any thread; what it returns has its own rules.
    """

    def __init__(
        self, configuration: Configuration, registry: PluginRegistry, file: str = ""
    ) -> None:
        """Take what was read; ``file`` is where it stands, for sentences about it."""
        self.configuration = configuration
        self._backends = Backends(configuration, registry, file)
        self._lack: ConfigurationError | None = None
        """Why there is no relay to be had, if consumers can be had all the same."""
        self._unset = config.Unset(configuration)
        self._serializers: dict[str, Serializer] = {}
        self._trackers: dict[str, PublishedMessageTracker] = {}
        self._readers: dict[str, SharedReader] = {}
        self._windows: dict[str, int] = {}

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        registry: PluginRegistry | None = None,
    ) -> Self:
        """Read and check a configuration file, and return what it describes.

        ``path`` as in :func:`tidings.config.find_file`; ``environ`` is ``os.environ`` if none is
        given. Raises :class:`ConfigurationError` with every problem found, those of the plugins
        that the configuration names among them. A file without ``[event_store]`` is one for
        consumers: then what needs the event store raises, and :meth:`consumer` does not. So it is
        if nothing else is wrong than that environment variables are not set. A consumer needs those
        alone that its exchange's producer asks for.
        """
        environ = os.environ if environ is None else environ
        file = config.find_file(path, environ)
        data, problems, unset = config.read(file, environ)
        configuration, found = config.parse(data, unset)
        used = {path: names for path, names in unset.items() if configuration.uses(path)}
        missing = config.describe_unset(used)
        tidings = cls(configuration, registry or PluginRegistry(), str(file))
        others = found + tidings.problems(unset)
        error = ConfigurationError(problems + missing + others, str(file))
        if missing:
            tidings._lack, tidings._unset = error, config.Unset(configuration, list(used))
        if problems or others or not tidings._unset.serves_anybody():
            raise error
        return tidings

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_failure: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back the connections that are shared. Idempotent; it may be used again."""
        for tracker in self._trackers.values():
            tracker.close()
        if "tracker" in self.__dict__:
            self.tracker.close()

    def event_store(self, exchange_name: str | None = None) -> EventStore:
        """Return an event store of the caller's own: the one that the exchange reads.

        Without an exchange it is the configured event store, whatever exchanges may read.
        """
        self._check_for_relay()
        place = self.configuration.source_part(exchange_name)
        store: EventStore = self._backends.build(EVENT_STORE, *place)
        return store

    def exchange_tracker(self, exchange_name: str) -> PublishedMessageTracker:
        """Return the tracker, with what the exchange's source does as its position moves."""
        if exchange_name not in self._trackers:
            self._trackers[exchange_name] = self._backends.tracker(exchange_name, self.tracker)
        return self._trackers[exchange_name]

    @cached_property
    def tracker(self) -> PublishedMessageTracker:
        """The tracker; one for all threads."""
        self._check_for_relay()
        return self._new_tracker()

    def _new_tracker(self) -> PublishedMessageTracker:
        place = self.configuration.tracker_part()
        tracker: PublishedMessageTracker = self._backends.build(TRACKER, *place)
        return tracker

    def producer(self, exchange_name: str) -> MessageProducer:
        """Return a producer for that exchange, of the caller's own."""
        self._check_for_relay()
        notifications = StoredNotifications(
            lambda: self.event_store(exchange_name),
            self.serializer,
            lambda name: self.configuration.exchange(name).events,
            self._passes_poison,
            lambda name: self.configuration.exchange(name).addressing,
        )
        context = ProducerContext(
            notifications.since, self._passes_poison, notifications.oldest_event_id
        )
        return self._backends.producer(exchange_name, context)

    def _passes_poison(self, exchange_name: str) -> bool:
        return self.configuration.exchange(exchange_name).passes_poison

    def consumer(
        self,
        exchange_name: str,
        subscriber: str | None = None,
        routing_keys: Sequence[str] = (),
        partitions: Sequence[int] = (),
    ) -> MessageConsumer:
        """Return a consumer that reads that exchange as ``subscriber``.

        With ``routing_keys``, patterns in the broker's own language, it gets only such messages;
        with ``partitions`` only those of these partitions.
        """
        if not self._unset.lets_consume(exchange_name):
            self._check_for_relay()
        consumer: MessageConsumer = self._backends.build(
            CONSUMER, *self.configuration.producer_part(exchange_name), subscriber
        )
        exchange = self.configuration.exchange(exchange_name)
        choose_routing_keys(consumer, exchange_name, exchange, routing_keys)
        choose_partitions(consumer, exchange_name, exchange, partitions)
        return consumer

    def serializer(self, exchange_name: str) -> Serializer:
        """Return the exchange's serializer; one for all threads, and all exchanges that name it."""
        self._check_for_relay()
        name = self.configuration.exchange(exchange_name).serializer
        if name not in self._serializers:
            serializer = self._backends.build(
                SERIALIZER, *self.configuration.serializer_part(exchange_name)
            )
            named = [each.serializer for each in self.configuration.exchanges.values()]
            is_shared = named.count(name) > 1
            self._serializers[name] = SerializedOnce(serializer) if is_shared else serializer
        return self._serializers[name]

    def notification_service(self, exchange_name: str) -> NotificationService:
        """Return a service for that exchange."""
        return NotificationService(self.route(exchange_name))

    def worker(self, exchange_names: Sequence[str], limit: int | None = None) -> Worker:
        """Return a worker for those exchanges; for all that are configured if none is named."""
        names = list(dict.fromkeys(exchange_names)) or list(self.configuration.exchanges)
        if not names:
            raise ConfigurationError(["No exchange is configured: add [exchanges.NAME]."])
        routes = [self.route(name) for name in names]
        return Worker(routes, poll_seconds=self.configuration.relay.poll_seconds, limit=limit)

    def route(self, exchange_name: str) -> Route:
        """Return everything that an exchange is made of."""
        exchange = self.configuration.exchange(exchange_name)
        if exchange.passes_poison:
            self.quarantine()
        producer = self.producer(exchange_name)
        if producer.window is not None:
            self._windows[exchange_name] = producer.window
        return Route(
            exchange_name=exchange_name,
            event_store=SharedStore(self._reader(exchange_name)),
            tracker=self.exchange_tracker(exchange_name),
            producer=producer,
            serializer=self.serializer(exchange_name),
            observers=self.observers,
            events=exchange.events,
            batch_size=exchange.batch_size,
            lease_seconds=self.configuration.relay.lease_seconds,
            passes_poison=exchange.passes_poison,
            addressing=exchange.addressing,
            journal=self.journal_bounds,
        )

    @property
    def journal_bounds(self) -> JournalBounds:
        """How much of what happens is kept."""
        relay = self.configuration.relay
        return JournalBounds(relay.journal_entries, relay.journal_days)

    def journal(self) -> Journal:
        """Return what keeps what happened: the tracker, if it can."""
        return self._tracker_that_can(Capability.JOURNAL, "keeps no journal")

    def pauses(self) -> Pauses:
        """Return what keeps which exchanges are paused: the tracker, if it can."""
        return self._tracker_that_can(Capability.PAUSE, "cannot keep an exchange paused")

    def _reader(self, exchange_name: str) -> SharedReader:
        """Return what reads the exchange's source, for all exchanges that have it."""
        _, _, path = self.configuration.source_part(exchange_name)
        if path not in self._readers:
            self._readers[path] = SharedReader(
                partial(self.event_store, exchange_name), self.configuration.relay.poll_seconds
            )
        return self._readers[path]

    def quarantine(self) -> Quarantine:
        """Return what keeps events that can never be sent: the tracker, if it can."""
        return self._tracker_that_can(Capability.QUARANTINE, "keeps no quarantine")

    def _tracker_that_can(self, capability: Capability, lack: str) -> PublishedMessageTracker:
        if capability in self.tracker.capabilities:
            return self.tracker
        backend, _, path = self.configuration.tracker_part()
        raise ConfigurationError([f"{path}.backend: {backend!r} {lack}."])

    @cached_property
    def observers(self) -> Observers:
        """All observers as one."""
        self._check_for_relay()
        places = self.configuration.observer_parts()
        observers = Observers([self._backends.build(OBSERVER, *place) for place in places])
        part = self.configuration.producer_part
        producers = {name: part(name)[0] for name in self.configuration.exchanges}
        observers.attached(ObservedRelay(producers, self._look, self._windows))
        return observers

    def _look(self, exchange_names: Iterable[str]) -> Iterator[tuple[str, Standing]]:
        """Look how far exchanges have got, by parts that nobody else uses."""
        sources = {name: self.configuration.source_part(name)[2] for name in exchange_names}
        return standings(sources, self._new_tracker, self.event_store)

    def _check_for_relay(self) -> None:
        if self._lack is not None:
            raise self._lack

    def default_exchange(self) -> str:
        """Return the only configured exchange, else ``my-bc-app``."""
        names = list(self.configuration.exchanges)
        return names[0] if len(names) == 1 else "my-bc-app"

    def problems(self, unset: Collection[str] = ()) -> list[str]:
        """Return what is wrong with the backends that the configuration uses, a sentence each.

        Nothing is said of ``unset`` keys.
        """
        return self._backends.problems(unset, self.producer)
