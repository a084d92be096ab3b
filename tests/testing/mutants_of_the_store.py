"""Faults planted into the examples' event store and tracker, each by changing one piece of text.

They go through the code from top to bottom. What is checked is left out, and what is counted is off
by one. What is cleaned up stays, and an error is swallowed or stays the library's.
"""

# ruff: noqa: E501 - pieces of the code as they stand

from __future__ import annotations

from tests.testing.mutants import Mutant

FAILURES, RECORD, STORE, TRACKER = (
    f"tidings_redis_store/{name}.py" for name in ("failures", "record", "event_store", "tracker")
)

MUTANTS = [
    Mutant(FAILURES, "if NOT_READY in reason:", "if False:"),
    Mutant(FAILURES, "redis.ConnectionError | redis.TimeoutError):", "redis.TimeoutError):"),
    Mutant(
        FAILURES,
        "    except redis.RedisError as error:",
        "    except redis.ResponseError as error:",
    ),
    Mutant(
        FAILURES,
        'return StoreUnavailableError(f"Redis at {settings.address} does',
        'return StoreUnavailableError(f"{settings.url.get_secret_value()} does',
    ),
    Mutant(RECORD, '"body": event.body_text(),', '"body": repr(event.body),'),
    Mutant(
        RECORD,
        '"body": event.body_text(),',
        '"body": event.body_text().encode("ascii", "replace").decode(),',
    ),
    Mutant(RECORD, 'timespec="microseconds"', 'timespec="milliseconds"'),
    Mutant(RECORD, "event.occurred_on.astimezone(UTC)", "event.occurred_on.replace(tzinfo=UTC)"),
    Mutant(
        RECORD, '"aggregate_id": event.aggregate_id,', '"aggregate_id": event.aggregate_id or "",'
    ),
    Mutant(
        RECORD,
        '"metadata": event.metadata_text(),',
        '"metadata": event.metadata_text() if event.metadata else None,',
    ),
    Mutant(RECORD, 'fields["type_name"],', 'fields["type_name"][:100],'),
    Mutant(RECORD, "datetime.fromisoformat(fields", "datetime.now(UTC) or (fields"),
    Mutant(RECORD, "except (ValueError, KeyError, TypeError)", "except ZeroDivisionError"),
    Mutant(RECORD, "            event_id=event_id,", "            event_id=event_id + 1,"),
    Mutant(STORE, "'newest', 1)", "'newest', -1)"),
    Mutant(STORE, "    redis.call('ZADD', KEYS[2], id, id)\n", ""),
    Mutant(
        STORE,
        "for _, record in ipairs(ARGV) do",
        "for place = #ARGV, 1, -1 do local record = ARGV[place]",
    ),
    Mutant(
        STORE,
        "connection.records += [record_of(event) for event in events]",
        "connection.records = [record_of(event) for event in events]",
    ),
    Mutant(
        STORE,
        "connection.records += [record_of(event) for event in events]",
        "for event in events: connection.records.append(record_of(event))",
    ),
    Mutant(
        STORE,
        "connection.records += [record_of(event) for event in events]",
        "connection.records += [record_of(event) for event in set(events)]",
    ),
    Mutant(
        STORE,
        "        yield transaction\n",
        "        try:\n            yield transaction\n        except Exception:\n            pass\n",
    ),
    Mutant(
        STORE,
        "        yield transaction\n",
        "        try:\n            yield transaction\n        except Exception:\n            return\n",
    ),
    Mutant(STORE, "            transaction.pipeline.execute()", "            pass"),
    Mutant(
        STORE,
        "        with failures_of(self._settings):\n            if not self._client.exists(self._store):",
        "        if True:\n            if not self._client.exists(self._store):",
    ),
    Mutant(
        STORE,
        "            transaction.pipeline.execute()",
        "            try:\n                transaction.pipeline.execute()\n            except redis.RedisError:\n                pass",
    ),
    Mutant(STORE, "min(PAGE, limit - len(events))", "PAGE"),
    Mutant(
        STORE,
        "last = events[-1].event_id if events else event_id",
        "last = events[-1].event_id if events else event_id + 1",
    ),
    Mutant(
        STORE,
        "last = events[-1].event_id if events else event_id",
        "last = events[-1].event_id if events else event_id - 1",
    ),
    Mutant(
        STORE,
        "                    if events:\n                        return events\n                    raise",
        "                    raise",
    ),
    Mutant(
        STORE,
        "                    if events:\n                        return events\n                    raise",
        "                    continue",
    ),
    Mutant(
        STORE,
        "                    if events:\n                        return events\n                    raise",
        "                    return events",
    ),
    Mutant(
        STORE,
        "return None if record is None else event_of(event_id, record)",
        "return event_of(event_id, record)",
    ),
    Mutant(
        STORE,
        "newest: Any = self._client.zrange(self._ids, -1, -1)",
        "newest: Any = self._client.zrange(self._ids, 0, 0)",
    ),
    Mutant(
        STORE, "return int(newest[0]) if newest else None", "return int(newest[0]) if newest else 0"
    ),
    Mutant(STORE, 'zcount(self._ids, f"({event_id}"', 'zcount(self._ids, f"{event_id}"'),
    Mutant(STORE, "-max(keep, 1), -max(keep, 1)", "-keep, -keep"),
    Mutant(STORE, "-max(keep, 1), -max(keep, 1)", "-1, -1"),
    Mutant(STORE, "if each[0] <= up_to]", "if each[0] < up_to]"),
    Mutant(STORE, "if each < int(kept[0]) and", "if each <= int(kept[0]) and"),
    Mutant(STORE, " and _occurred_before(each, record, occurred_before)", ""),
    Mutant(STORE, ".occurred_on < time", ".occurred_on <= time"),
    Mutant(STORE, "            if gone and not dry_run:", "            if gone:"),
    Mutant(STORE, "            count += len(gone)", "            count += len(page)"),
    Mutant(
        STORE,
        'self._client.hsetnx(self._store, "identity", uuid.uuid4().hex)',
        'self._client.hset(self._store, "identity", uuid.uuid4().hex)',
    ),
    Mutant(STORE, 'return str(identity or "")', "return uuid.uuid4().hex"),
    Mutant(STORE, "identity != self._known[0] or newest < self._known[1]", "True"),
    Mutant(STORE, "capabilities = frozenset({Capability.PRUNE})", "capabilities = frozenset()"),
    Mutant(
        STORE,
        "            self._check_ready()\n            self._known = self._look()",
        "            self._known = self._look()",
    ),
    Mutant(TRACKER, "if redis.call('EXISTS', KEYS[1]) == 0 then", "if false then"),
    Mutant(TRACKER, "get('owner') ~= '' and get('epoch') == epoch", "get('owner') ~= ''"),
    Mutant(TRACKER, "get('owner') ~= '' and get('epoch') == epoch", "get('epoch') == epoch"),
    Mutant(TRACKER, "and number('expires') > now\n", "\n"),
    Mutant(TRACKER, "if runs and holder ~= owner and", "if runs and"),
    Mutant(TRACKER, "and get('epoch') ~= dead then", "and dead == '' then"),
    Mutant(TRACKER, "and get('epoch') ~= dead then", "then"),
    Mutant(
        TRACKER, "tostring((number('expires') - now) / 1000)", "tostring(number('expires') - now)"
    ),
    Mutant(TRACKER, "redis.call('SADD', KEYS[1], ARGV[4])\n", ""),
    Mutant(
        TRACKER,
        "'epoch', 1)\nredis.call('HSET', KEYS[2], 'owner', owner",
        "'epoch', 0)\nredis.call('HSET', KEYS[2], 'owner', owner",
    ),
    Mutant(TRACKER, "now + math.floor(seconds * 1000))", "now + math.floor(seconds * 1000000))"),
    Mutant(
        TRACKER,
        "redis.call('HSET', KEYS[2], 'expires', now + math.floor(tonumber(ARGV[2]) * 1000))\n",
        "",
    ),
    Mutant(TRACKER, "'position', ARGV[3], 'fingerprint', ARGV[4])", "'position', ARGV[3])"),
    Mutant(
        TRACKER,
        "if is_ours(ARGV[1]) then redis.call('HSET', KEYS[2], 'owner', '', 'expires', 0) end",
        "redis.call('HSET', KEYS[2], 'owner', '', 'expires', 0)",
    ),
    Mutant(
        TRACKER,
        "if is_ours(ARGV[1]) then redis.call('HSET', KEYS[2], 'owner', '', 'expires', 0) end",
        "if is_ours(ARGV[1]) then redis.call('DEL', KEYS[2]) end",
    ),
    Mutant(TRACKER, "math.max(number('generation') + 1, tonumber(clock[1]) - 1767225600)", "0"),
    Mutant(
        TRACKER,
        "math.max(number('generation') + 1, tonumber(clock[1]) - 1767225600)",
        "tonumber(clock[1]) - 1767225600",
    ),
    Mutant(
        TRACKER,
        "if ARGV[3] and number('generation') ~= tonumber(ARGV[3]) then return 0 end\n",
        "",
    ),
    Mutant(TRACKER, "redis.call('SADD', KEYS[1], ARGV[2])\n", ""),
    Mutant(TRACKER, "generation, 'fingerprint', '')", "generation)"),
    Mutant(
        TRACKER,
        "return self._row(exchange_name).position.event_id or None",
        "return self._row(exchange_name).position.event_id",
    ),
    Mutant(TRACKER, 'holder if holder not in ("", owner) else None,', "owner,"),
    Mutant(TRACKER, 'for name in sorted(names - {""})', 'for name in names - {""}'),
    Mutant(TRACKER, 'for name in sorted(names - {""})', "for name in sorted(names)"),
    Mutant(TRACKER, '(row.get("owner") or None) if held else None,', "None,"),
    Mutant(TRACKER, '}:exchange:{exchange_name}"', '}:exchange:{exchange_name.lower()}"'),
    Mutant(
        TRACKER, '}:exchange:{exchange_name}"', "}:exchange:{exchange_name.replace('.', '-')}\""
    ),
    Mutant(TRACKER, '}:exchange:{exchange_name}"', '}:exchange:{exchange_name[:126]}"'),
    Mutant(
        TRACKER,
        "            raise LeaseHeldError(exchange_name, holder, int(epoch), float(row[0]))",
        "            raise LeaseLostError(exchange_name)",
    ),
    Mutant(
        TRACKER,
        "        if not self._run(MOVE, lease.exchange_name, lease.epoch, lease.seconds):\n            raise LeaseLostError(lease.exchange_name)",
        "        self._run(MOVE, lease.exchange_name, lease.epoch, lease.seconds)",
    ),
    Mutant(
        TRACKER,
        "        with failures_of(self._settings):\n            return self._client.eval",
        "        if True:\n            return self._client.eval",
    ),
    Mutant(TRACKER, "            mark or None,", "            mark,"),
]
