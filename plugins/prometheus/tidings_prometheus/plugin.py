"""What tidings finds under the name ``prometheus``. Imports no library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.plugins import Observer, ObserverSpec, hookimpl
from tidings_prometheus.settings import PrometheusSettings

if TYPE_CHECKING:
    from collections.abc import Iterable


def _observer(settings: PrometheusSettings) -> Observer:
    from tidings_prometheus.observer import PrometheusObserver  # noqa: PLC0415 - the library

    return PrometheusObserver(settings)


@hookimpl
def tidings_observers() -> Iterable[ObserverSpec]:
    """Offer the observer."""
    yield ObserverSpec(
        name="prometheus",
        settings=PrometheusSettings,
        requires=("prometheus_client",),
        install="tidings[prometheus]",
        factory=_observer,
    )
