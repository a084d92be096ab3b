"""The backends of one configuration: made as it says, and what is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tidings import config
from tidings.errors import ConfigurationError, PluginError
from tidings.plugins.kinds import EVENT_STORE, PRODUCER, TRACKER
from tidings.plugins.used import shared_sources, unfit_producers, used_backends

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable

    from tidings.config import Configuration, Table
    from tidings.interfaces import MessageProducer, PublishedMessageTracker
    from tidings.plugins.kinds import Kind
    from tidings.plugins.registry import PluginRegistry
    from tidings.plugins.specs import ProducerContext, Settings, Spec


class Backends:
    """Makes a backend of its table in the configuration, whichever plugin it is of.

    ``file`` is where the configuration stands, for sentences about it.
    """

    def __init__(self, configuration: Configuration, registry: PluginRegistry, file: str) -> None:
        self._configuration = configuration
        self._registry = registry
        self._file = file

    def build(self, kind: Kind[Any], name: str, table: Table, path: str, *arguments: object) -> Any:
        """Return what the backend's factory makes of the table at ``path``."""
        spec = self._registry.spec(kind, name)
        settings = self._settings(kind, spec, table, path)
        return self._registry.build(kind, spec, settings, *arguments)

    def producer(self, exchange_name: str, context: ProducerContext) -> MessageProducer:
        """Return the exchange's producer; ``context`` is for one that wants it."""
        name, table, path = self._configuration.producer_part(exchange_name)
        arguments = [context] if self._registry.spec(PRODUCER, name).wants_context else []
        made: MessageProducer = self.build(PRODUCER, name, table, path, *arguments)
        return made

    def tracker(self, exchange_name: str, around: PublishedMessageTracker) -> Any:
        """Return ``around``, with what the exchange's source does as its position moves."""
        backend, table, path = self._configuration.source_part(exchange_name)
        spec = self._registry.spec(EVENT_STORE, backend)
        if spec.tracker is None:
            return around
        settings = self._settings(EVENT_STORE, spec, table, path)
        return self._registry.call(EVENT_STORE, spec, "tracker", settings, around)

    def problems(
        self, unset: Collection[str], producer: Callable[[str], MessageProducer]
    ) -> list[str]:
        """Return what is wrong with those that the configuration uses, a sentence each.

        Nothing is said of ``unset`` keys. ``producer`` makes an exchange's producer.
        """
        found: list[str] = []
        for use in used_backends(self._configuration):
            try:
                spec = self._registry.spec(use.kind, use.backend, use.tables)
                self._settings(use.kind, spec, use.table, use.path, unset)
            except ConfigurationError as error:
                found += error.problems
            except PluginError as error:
                if f"{use.path}.backend" not in unset:
                    found.append(f"{use.word}: {error}{self._tracker_hint(use.kind)}")
        if not found and not unset:
            found = shared_sources(self._configuration, self._drained)
            found += unfit_producers(self._configuration, producer)
        return list(dict.fromkeys(found))

    def _tracker_hint(self, kind: Kind[Any]) -> str:
        """Return what to do if the event store's backend has no tracker, as most have none."""
        if kind is not TRACKER or self._configuration.tracker is not None:
            return ""
        return (
            " Without [tracker], the event store's own backend is to keep the positions, too: add "
            '[tracker] with a backend that can, such as "sqlalchemy".'
        )

    def _drained(self, exchange_name: str) -> Hashable | None:
        """Return what an exchange empties as it goes on, or ``None``."""
        backend, table, path = self._configuration.source_part(exchange_name)
        spec = self._registry.spec(EVENT_STORE, backend)
        if spec.tracker is None:
            return None
        settings = self._settings(EVENT_STORE, spec, table, path)
        return spec.name, self._registry.call(EVENT_STORE, spec, "drains", settings)

    def _settings(
        self, kind: Kind[Any], spec: Spec, table: Table, path: str, unset: Collection[str] = ()
    ) -> Settings:
        try:
            return self._registry.settings(kind, spec, table.settings())
        except ValidationError as error:
            problems = config.explain(error, spec.settings, path, unset=unset)
            raise ConfigurationError(problems, self._file) from error
