"""The composition root: builds everything that a configuration names.

Nothing connects here; each part connects when it is first used.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from tidings import config
from tidings.errors import ConfigurationError, PluginError
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
from tidings.relay.exchange_relay import Route, notification, wanted
from tidings.relay.notification_service import NotificationService
from tidings.relay.observers import Observers
from tidings.relay.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tidings.config import Configuration, Table
    from tidings.interfaces import (
        EventStore,
        MessageConsumer,
        MessageProducer,
        Notification,
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
    given. Raises :class:`ConfigurationError` with every fault found, or a :class:`PluginError`
    where that is all that is wrong.
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

    **Threads.** Every method may be called from any thread; what it returns has its own rules.
    """

    def __init__(self, configuration: Configuration, registry: PluginRegistry) -> None:
        self.configuration = configuration
        self.registry = registry

    def event_store(self) -> EventStore:
        """Return an event store of the caller's own."""
        table = self.configuration.event_store
        name = table.backend or "sqlalchemy"
        store: EventStore = self._build(EventStoreSpec, name, table, "event_store")
        return store

    @cached_property
    def tracker(self) -> PublishedMessageTracker:
        """The tracker; one for all threads."""
        name, table, path = self._tracker_table()
        tracker: PublishedMessageTracker = self._build(TrackerSpec, name, table, path)
        return tracker

    def producer(self, exchange_name: str) -> MessageProducer:
        """Return a producer for that exchange, of the caller's own."""
        name, table, path = self._producer_table(exchange_name)
        spec = self.registry.spec(MessageProducerSpec, name)
        settings = self._settings(spec, table, path)
        context = ProducerContext(_StoredNotifications(self).since)
        return self.registry.build(spec, lambda: spec.factory(settings, context))

    def consumer(self, exchange_name: str, subscriber: str | None = None) -> MessageConsumer:
        """Return a consumer that reads that exchange as ``subscriber``."""
        name, table, path = self._producer_table(exchange_name)
        self.registry.spec(MessageProducerSpec, name)
        spec = self.registry.spec(MessageConsumerSpec, name)
        settings = self._settings(spec, table, path)
        return self.registry.build(spec, lambda: spec.factory(settings, subscriber))

    def serializer(self, exchange_name: str) -> Serializer:
        """Return the exchange's serializer."""
        name, table = self.configuration.serializer_table(exchange_name)
        path = f"serializers.{self.configuration.exchange(exchange_name).serializer}"
        serializer: Serializer = self._build(SerializerSpec, name, table, path)
        return serializer

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
            event_store=self.event_store(),
            tracker=self.tracker,
            producer=self.producer(exchange_name),
            serializer=self.serializer(exchange_name),
            observers=self.observers,
            capabilities=self.capabilities(exchange_name),
            events=exchange.events,
            batch_size=exchange.batch_size,
            lease_seconds=self.configuration.relay.lease_seconds,
        )

    def capabilities(self, exchange_name: str) -> frozenset[Capability]:
        """Return what the exchange's producer can do with its settings."""
        name, table, path = self._producer_table(exchange_name)
        spec = self.registry.spec(MessageProducerSpec, name)
        return spec.capabilities(self._settings(spec, table, path))

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
        for kind, name, table, path in self._used():
            try:
                self._settings(self.registry.spec(kind, name), table, path)
            except ConfigurationError as error:
                found += error.problems
            except PluginError as error:
                found.append(f"{path}: {error}")
        return list(dict.fromkeys(found))

    def _used(self) -> Iterator[tuple[type[Spec], str, Table, str]]:
        configuration = self.configuration
        store = configuration.event_store
        yield EventStoreSpec, store.backend or "sqlalchemy", store, "event_store"
        yield TrackerSpec, *self._tracker_table()
        for exchange_name, exchange in configuration.exchanges.items():
            name, table, path = self._producer_table(exchange_name)
            if exchange.producer not in configuration.producers:
                path = f"exchanges.{exchange_name}.producer"
            yield MessageProducerSpec, name, table, path
            name, table = configuration.serializer_table(exchange_name)
            if exchange.serializer in configuration.serializers:
                path = f"serializers.{exchange.serializer}"
            else:
                path = f"exchanges.{exchange_name}.serializer"
            yield SerializerSpec, name, table, path
        for name, table in configuration.observers.items():
            yield ObserverSpec, table.backend or name, table, f"observers.{name}"

    def _producer_table(self, exchange_name: str) -> tuple[str, Table, str]:
        name, table = self.configuration.producer_table(exchange_name)
        return name, table, f"producers.{self.configuration.exchange(exchange_name).producer}"

    def _tracker_table(self) -> tuple[str, Table, str]:
        table = self.configuration.tracker
        if table is None:
            table = self.configuration.event_store
            return table.backend or "sqlalchemy", table, "event_store"
        return table.backend or "sqlalchemy", table, "tracker"

    def _settings(self, spec: Spec, table: Table, path: str) -> Settings:
        try:
            return spec.settings.model_validate(table.settings())
        except ValidationError as error:
            problems = config.explain(error, spec.settings, path)
            raise ConfigurationError(problems) from error

    def _build(self, kind: type[S], name: str, table: Table, path: str) -> Any:
        spec = self.registry.spec(kind, name)
        settings = self._settings(spec, table, path)
        factory: Any = getattr(spec, "factory")  # noqa: B009 - all kinds but Spec itself have one
        return self.registry.build(spec, lambda: factory(settings))


class _StoredNotifications:
    """An exchange's notifications out of the event store, for producers without a memory.

    Its connection is kept from call to call until the newest event has been reached.
    """

    def __init__(self, tidings: Tidings) -> None:
        self._tidings = tidings
        self._store: EventStore | None = None

    def since(self, exchange_name: str, event_id: int, limit: int) -> list[Notification]:
        exchange = self._tidings.configuration.exchange(exchange_name)
        serializer = self._tidings.serializer(exchange_name)
        store = self._store = self._store or self._tidings.event_store()
        found: list[Notification] = []
        while len(found) < limit:
            events = store.all_stored_events_since(event_id, limit)
            if not events:
                store.close()
                break
            event_id = events[-1].event_id
            found += [
                notification(exchange_name, serializer, event)
                for event in events
                if wanted(exchange.events, event.type_name)
            ]
        return found[:limit]
