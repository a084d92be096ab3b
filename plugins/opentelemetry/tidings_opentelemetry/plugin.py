"""What tidings finds under the name ``opentelemetry``. Imports no library."""

from __future__ import annotations

from tidings.plugins import ObserverSpec, Settings, hookimpl


@hookimpl
def tidings_observers() -> list[ObserverSpec]:
    return [
        ObserverSpec(
            name="opentelemetry",
            settings=Settings,
            factory="tidings_opentelemetry.observer:OpenTelemetryObserver",
            requires=("opentelemetry",),
            install="tidings[opentelemetry]",
        )
    ]
