"""Offers ``redis-store`` to tidings. Imports redis only when a factory is called."""

from tidings.plugins import EventStoreSpec, TrackerSpec, hookimpl
from tidings_redis_store.settings import RedisStoreSettings


@hookimpl
def tidings_event_stores() -> list[EventStoreSpec]:
    """Offer the event store."""
    return [
        EventStoreSpec(
            name="redis-store",
            api=1,
            settings=RedisStoreSettings,
            factory="tidings_redis_store.event_store:RedisEventStore",
            requires=("redis",),
            install="tidings-redis-store",
        )
    ]


@hookimpl
def tidings_trackers() -> list[TrackerSpec]:
    """Offer the tracker."""
    return [
        TrackerSpec(
            name="redis-store",
            api=1,
            settings=RedisStoreSettings,
            factory="tidings_redis_store.tracker:RedisTracker",
            requires=("redis",),
            install="tidings-redis-store",
        )
    ]
