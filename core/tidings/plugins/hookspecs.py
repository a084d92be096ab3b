"""The hooks: one for each kind of thing that a plugin may offer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidings.plugins.specs import (
        BackendSpec,
        EventStoreSpec,
        ObserverSpec,
        SerializerSpec,
        TrackerSpec,
    )

GROUP = "tidings"
"""The entry-point group, and pluggy's project name."""

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def tidings_backends() -> Iterable[BackendSpec]:  # type: ignore[empty-body]
    """Return the backends that this plugin offers: a producer each, and its consumer."""


@hookspec
def tidings_event_stores() -> Iterable[EventStoreSpec]:  # type: ignore[empty-body]
    """Return the event stores that this plugin offers."""


@hookspec
def tidings_trackers() -> Iterable[TrackerSpec]:  # type: ignore[empty-body]
    """Return the trackers that this plugin offers."""


@hookspec
def tidings_serializers() -> Iterable[SerializerSpec]:  # type: ignore[empty-body]
    """Return the serializers that this plugin offers."""


@hookspec
def tidings_observers() -> Iterable[ObserverSpec]:  # type: ignore[empty-body]
    """Return the observers that this plugin offers."""
