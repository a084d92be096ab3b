"""What tidings finds under the name ``prometheus``. Imports no library."""

from __future__ import annotations

from tidings.plugins import ObserverSpec, hookimpl
from tidings_prometheus.settings import PrometheusSettings


@hookimpl
def tidings_observers() -> list[ObserverSpec]:
    return [
        ObserverSpec(
            name="prometheus",
            settings=PrometheusSettings,
            factory="tidings_prometheus.observer:PrometheusObserver",
            requires=("prometheus_client",),
            install="tidings[prometheus]",
        )
    ]
