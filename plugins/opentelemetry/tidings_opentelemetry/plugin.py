"""What tidings finds under the name ``opentelemetry``. Imports no library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.plugins import Observer, ObserverSpec, Settings, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable


def _observer(_settings: Settings) -> Observer:
    from tidings_opentelemetry.observer import OpenTelemetryObserver  # noqa: PLC0415 - the library

    return OpenTelemetryObserver()


@hookimpl
def tidings_observers() -> Iterable[ObserverSpec]:
    """Offer the observer."""
    yield ObserverSpec(
        name="opentelemetry",
        settings=Settings,
        requires=("opentelemetry",),
        install="tidings[opentelemetry]",
        factory=_observer,
    )
