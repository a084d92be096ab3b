"""The composition root: builds everything that a configuration names.

Nothing connects here; each part connects when it is first used.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pydantic import ValidationError

from tidings import config
from tidings.errors import ConfigurationError, PluginError
from tidings.interfaces import Quarantine
from tidings.plugins.registry import PluginRegistry
from tidings.plugins.specs import (
    Capability,
    EventStoreSpec,
    MessageConsumerSpec,
    MessageProducerSpec,
    ObserverSpec,
    ProducerContext,
    SerializerSpec,
    Settings,
    Spec,
    TrackerSpec,
)
from tidings.plugins.used import used_backends
from tidings.relay.notification_service import NotificationService
from tidings.relay.observers import Observers
from tidings.relay.route import Route
from tidings.relay.serialized_once import SerializedOnce
from tidings.relay.stored_notifications import StoredNotifications
from tidings.relay.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from tidings.config import Configuration, Table
    from tidings.interfaces import (
        EventStore,
        MessageConsumer,
        MessageProducer,
        PublishedMessageTracker,
        Serializer,
    )

S = TypeVar("S", bound=Spec)

DEFAULT_EXCHANGE = "my-bc-app"


def bootstrap(
    path: str | os.PathLike[str] | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    registry: PluginRegistry | None = None,
) -> Tidings:
    """Read and check a configuration file, and return what it describes.

    ``path`` as in :func:`tidings.config.find_file`; ``environ`` is ``os.environ`` where none is
    given. Raises :class:`ConfigurationError` with every fault found, those of the plugins that the
    configuration names among them.
    """
    environ = os.environ if environ is None else environ
    registry = registry or PluginRegistry()
    file = config.find_file(path, environ)
    data, problems = config.read(file, environ)
    configuration, faults = config.parse(data)
    tidings = Tidings(configuration, registry)
    problems += faults + tidings.problems()
    if problems:
        raise ConfigurationError(problems, str(file))
    return tidings


class Tidings:
    """What a configuration describes; each part is made when it is asked for.

    What its methods return belongs to the caller, who closes it; :meth:`close`, or the end of a
    ``with``, closes the tracker that all of it shares.

    **Threads.** Every method may be called from any thread; what it returns has its own rules.
    """

    def __init__(self, configuration: Configuration, registry: PluginRegistry) -> None:
        self.configuration = configuration
        self.registry = registry
        self._serializers: dict[str, Serializer] = {}
        self._trackers: dict[str, PublishedMessageTracker] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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
        place = (
            self.configuration.store_part()
            if exchange_name is None
            else self.configuration.source_part(exchange_name)
        )
        store: EventStore = self._build(EventStoreSpec, *place)
        return store

    def exchange_tracker(self, exchange_name: str) -> PublishedMessageTracker:
        """Return the tracker, with what the exchange's source does as its position moves."""
        if exchange_name not in self._trackers:
            backend, table, path = self.configuration.source_part(exchange_name)
            spec = self.registry.spec(EventStoreSpec, backend)
            if spec.tracker is None:
                return self.tracker
            settings = self._settings(spec, table, path)
            self._trackers[exchange_name] = spec.tracker(settings, self.tracker)
        return self._trackers[exchange_name]

    @cached_property
    def tracker(self) -> PublishedMessageTracker:
        """The tracker; one for all threads."""
        tracker: PublishedMessageTracker = self._build(
            TrackerSpec, *self.configuration.tracker_part()
        )
        return tracker

    def producer(self, exchange_name: str) -> MessageProducer:
        """Return a producer for that exchange, of the caller's own."""
        notifications = StoredNotifications(
            lambda: self.event_store(exchange_name),
            self.serializer,
            lambda name: self.configuration.exchange(name).events,
            self._passes_poison,
        )
        context = ProducerContext(notifications.since, self._passes_poison)
        producer: MessageProducer = self._build(
            MessageProducerSpec, *self.configuration.producer_part(exchange_name), context
        )
        return producer

    def _passes_poison(self, exchange_name: str) -> bool:
        return self.configuration.exchange(exchange_name).passes_poison

    def consumer(self, exchange_name: str, subscriber: str | None = None) -> MessageConsumer:
        """Return a consumer that reads that exchange as ``subscriber``."""
        consumer: MessageConsumer = self._build(
            MessageConsumerSpec, *self.configuration.producer_part(exchange_name), subscriber
        )
        return consumer

    def serializer(self, exchange_name: str) -> Serializer:
        """Return the exchange's serializer; one for all threads, and all exchanges that name it."""
        name = self.configuration.exchange(exchange_name).serializer
        if name not in self._serializers:
            serializer = self._build(
                SerializerSpec, *self.configuration.serializer_part(exchange_name)
            )
            sharing = [
                each for each in self.configuration.exchanges.values() if each.serializer == name
            ]
            self._serializers[name] = SerializedOnce(serializer) if sharing[1:] else serializer
        return self._serializers[name]

    def notification_service(self, exchange_name: str) -> NotificationService:
        """Return a service for that exchange."""
        route = self.route(exchange_name)
        return NotificationService(
            route.event_store,
            route.tracker,
            route.producer,
            route.serializer,
            capabilities=route.capabilities,
            events=route.events,
            batch_size=route.batch_size,
            lease_seconds=route.lease_seconds,
            observers=[self.observers],
            quarantine=route.quarantine if route.passes_poison else None,
        )

    def worker(self, exchange_names: Sequence[str], limit: int | None = None) -> Worker:
        """Return a worker for those exchanges; for all that are configured where none is named."""
        names = list(dict.fromkeys(exchange_names)) or list(self.configuration.exchanges)
        if not names:
            raise ConfigurationError(["No exchange is configured: add [exchanges.NAME]."])
        routes = [self.route(name) for name in names]
        return Worker(routes, poll_seconds=self.configuration.relay.poll_seconds, limit=limit)

    def route(self, exchange_name: str) -> Route:
        """Return everything that an exchange is made of."""
        exchange = self.configuration.exchange(exchange_name)
        return Route(
            exchange_name=exchange_name,
            event_store=self.event_store(exchange_name),
            tracker=self.exchange_tracker(exchange_name),
            producer=self.producer(exchange_name),
            serializer=self.serializer(exchange_name),
            observers=self.observers,
            capabilities=self.capabilities(exchange_name),
            events=exchange.events,
            batch_size=exchange.batch_size,
            lease_seconds=self.configuration.relay.lease_seconds,
            quarantine=self.quarantine()
            if exchange.passes_poison or isinstance(self.tracker, Quarantine)
            else None,
            passes_poison=exchange.passes_poison,
        )

    def quarantine(self) -> Quarantine:
        """Return where events are noted that can never be sent: the tracker, where it can."""
        if isinstance(self.tracker, Quarantine):
            return self.tracker
        backend, _, path = self.configuration.tracker_part()
        raise ConfigurationError([f"{path}.backend: {backend!r} keeps no quarantine."])

    def capabilities(self, exchange_name: str) -> frozenset[Capability]:
        """Return what the exchange's producer can do with its settings."""
        name, table, path = self.configuration.producer_part(exchange_name)
        spec = self.registry.spec(MessageProducerSpec, name)
        return self.registry.capabilities(spec, self._settings(spec, table, path))

    @cached_property
    def observers(self) -> Observers:
        """All observers as one."""
        return Observers(
            [
                self._build(ObserverSpec, table.backend or name, table, f"observers.{name}")
                for name, table in self.configuration.observers.items()
            ]
        )

    def default_exchange(self) -> str:
        """Return the only configured exchange, else ``my-bc-app``."""
        names = list(self.configuration.exchanges)
        return names[0] if len(names) == 1 else DEFAULT_EXCHANGE

    def problems(self) -> list[str]:
        """Return what is wrong with the backends that the configuration uses, a sentence each."""
        found: list[str] = []
        for use in used_backends(self.configuration):
            try:
                spec = self.registry.spec(use.kind, use.backend, use.tables)
                self._settings(spec, use.table, use.path)
            except ConfigurationError as error:
                found += error.problems
            except PluginError as error:
                found.append(f"{use.word}: {error}")
        return list(dict.fromkeys(found))

    def _settings(self, spec: Spec, table: Table, path: str) -> Settings:
        try:
            return self.registry.settings(spec, table.settings())
        except ValidationError as error:
            problems = config.explain(error, spec.settings, path)
            raise ConfigurationError(problems) from error

    def _build(self, kind: type[S], name: str, table: Table, path: str, *arguments: object) -> Any:
        spec = self.registry.spec(kind, name)
        return self.registry.build(spec, self._settings(spec, table, path), *arguments)
