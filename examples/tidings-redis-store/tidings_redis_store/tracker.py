"""Positions and leases in Redis: a hash for each exchange, changed by scripts.

A script sees the clock, the lease and the position at once, and nobody comes between: that is the
compare-and-set that the interface asks for.
"""

from collections.abc import Sequence
from typing import Any

from tidings.plugins import (
    Lease,
    LeaseHeldError,
    LeaseLostError,
    Position,
    PublishedMessageTracker,
    StoredEvent,
    TrackedExchange,
    fingerprint,
)
from tidings_redis_store.connection import connect
from tidings_redis_store.failures import NOT_READY, failures_of, not_ready
from tidings_redis_store.settings import RedisStoreSettings

HEAD = f"""
if redis.call('EXISTS', KEYS[1]) == 0 then return redis.error_reply('{NOT_READY}') end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local function get(field) return redis.call('HGET', KEYS[2], field) or '' end
local function number(field) return tonumber(get(field)) or 0 end
local function is_ours(epoch) return get('owner') ~= '' and get('epoch') == epoch end
"""

ACQUIRE = (
    HEAD
    + """
local owner, seconds, dead = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local holder = get('owner')
local runs = holder ~= '' and number('expires') > now
if runs and holder ~= owner and get('epoch') ~= dead then
    return {0, holder, get('epoch'), tostring((number('expires') - now) / 1000)}
end
redis.call('SADD', KEYS[1], ARGV[4])
local epoch = redis.call('HINCRBY', KEYS[2], 'epoch', 1)
redis.call('HSET', KEYS[2], 'owner', owner, 'expires', now + math.floor(seconds * 1000))
return {1, holder, tostring(epoch), get('position'), get('generation'), get('fingerprint')}
"""
)

MOVE = (
    HEAD
    + """
if not is_ours(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[2], 'expires', now + math.floor(tonumber(ARGV[2]) * 1000))
if ARGV[3] then redis.call('HSET', KEYS[2], 'position', ARGV[3], 'fingerprint', ARGV[4]) end
return 1
"""
)

RELEASE = (
    HEAD
    + """
if is_ours(ARGV[1]) then redis.call('HSET', KEYS[2], 'owner', '', 'expires', 0) end
return 1
"""
)

# The clock's, so that one that comes back with a backup is never begun a second time.
REPLAY = (
    HEAD
    + """
if ARGV[3] and number('generation') ~= tonumber(ARGV[3]) then return 0 end
local generation = math.max(number('generation') + 1, tonumber(clock[1]) - 1767225600)
redis.call('SADD', KEYS[1], ARGV[2])
redis.call('HINCRBY', KEYS[2], 'epoch', 1)
redis.call('HSET', KEYS[2], 'position', ARGV[1], 'generation', generation, 'fingerprint', '')
redis.call('HSET', KEYS[2], 'owner', '', 'expires', 0)
return 1
"""
)

LOOK = HEAD + "return {now, unpack(redis.call('HGETALL', KEYS[2]))}"


class RedisTracker(PublishedMessageTracker):
    """Exchanges' names in ``{prefix}:exchanges``, each one's row in ``{prefix}:exchange:NAME``."""

    def __init__(self, settings: RedisStoreSettings) -> None:
        self._settings = settings
        self._client = connect(settings)
        self._names = f"{settings.prefix}:exchanges"

    def most_recent_published_message_id(self, exchange_name: str) -> int | None:
        """Return the position's id."""
        return self._row(exchange_name).position.event_id or None

    def track_most_recent_published_message(
        self, exchange_name: str, event: StoredEvent, lease: Lease
    ) -> None:
        """Move the position, if the lease is the newest."""
        moved = (event.event_id, fingerprint(event))
        if not self._run(MOVE, exchange_name, lease.epoch, lease.seconds, *moved):
            raise LeaseLostError(exchange_name)

    def acquire_lease(
        self, exchange_name: str, owner: str, seconds: float, *, in_place_of: int | None = None
    ) -> Lease:
        """Take the lease, or say who has it."""
        dead = "" if in_place_of is None else in_place_of
        taken, holder, epoch, *row = self._run(
            ACQUIRE, exchange_name, owner, seconds, dead, exchange_name
        )
        if not taken:
            raise LeaseHeldError(exchange_name, holder, int(epoch), float(row[0]))
        position, generation, mark = row
        return Lease(
            exchange_name,
            owner,
            int(epoch),
            seconds,
            Position(int(position or 0), int(generation or 0)),
            mark or None,
            holder if holder not in ("", owner) else None,
        )

    def renew_lease(self, lease: Lease) -> None:
        """Let it run for its full time again."""
        if not self._run(MOVE, lease.exchange_name, lease.epoch, lease.seconds):
            raise LeaseLostError(lease.exchange_name)

    def release_lease(self, lease: Lease) -> None:
        """Give it back; the epoch stays, and grows with the next holder."""
        self._run(RELEASE, lease.exchange_name, lease.epoch)

    def replay(
        self, exchange_name: str, after_event_id: int, *, generation: int | None = None
    ) -> bool:
        """Set the position, and take the lease from whoever has it."""
        seen = () if generation is None else (generation,)
        return bool(self._run(REPLAY, exchange_name, after_event_id, exchange_name, *seen))

    def tracked_exchanges(self) -> Sequence[TrackedExchange]:
        """Return every row, by name."""
        with failures_of(self._settings):
            if not self._client.exists(self._names):
                raise not_ready(self._settings)
            names: Any = self._client.smembers(self._names)
        return [self._row(name) for name in sorted(names - {""})]

    def create(self) -> None:
        """Make the set of names, which Redis keeps only if there is something in it."""
        with failures_of(self._settings):
            self._client.sadd(self._names, "")

    def close(self) -> None:
        """Give back connections."""
        self._client.close()

    def _row(self, exchange_name: str) -> TrackedExchange:
        now, *found = self._run(LOOK, exchange_name)
        row = dict(zip(found[::2], found[1::2], strict=True))
        position = Position(int(row.get("position", 0)), int(row.get("generation", 0)))
        held = int(row.get("expires", 0)) > now
        return TrackedExchange(
            exchange_name,
            position,
            (row.get("owner") or None) if held else None,
            fingerprint=row.get("fingerprint") or None,
        )

    def _run(self, script: str, exchange_name: str, *arguments: str | float) -> Any:
        row = f"{self._settings.prefix}:exchange:{exchange_name}"
        with failures_of(self._settings):
            return self._client.eval(script, 2, self._names, row, *map(str, arguments))
