"""Faults planted into the examples' producer, each by changing one piece of text.

They are mistakes that authors make. Something is accepted too early, or kept for too long; names
and times change on their way. Errors are swallowed or are of the wrong kind. Others show in what a
crash, a second opening or another event store finds.
"""

# ruff: noqa: E501 - pieces of the code as they stand

from __future__ import annotations

from tests.testing.mutants import Mutant

CONNECTION, FAILURES, SETTINGS, PLUGIN, PRODUCER, EXCHANGE = (
    f"tidings_redis/{name}.py"
    for name in ("connection", "failures", "settings", "plugin", "producer", "open_exchange")
)

MUTANTS = [
    Mutant(CONNECTION, "        socket_timeout=seconds,", "        socket_timeout=None,"),
    Mutant(CONNECTION, "socket_connect_timeout=seconds,", "socket_connect_timeout=600,"),
    Mutant(CONNECTION, "Retry(NoBackoff(), 0)", "Retry(NoBackoff(), 3)"),
    Mutant(
        FAILURES,
        "    except redis.RedisError as error:",
        "    except redis.ResponseError as error:",
    ),
    Mutant(
        FAILURES,
        "        raise _explained(error, exchange_name, settings) from None",
        "        return",
    ),
    Mutant(FAILURES, "(Redis at {settings.address})", "({settings.url.get_secret_value()})"),
    Mutant(FAILURES, 'f"exchange {exchange_name!r} (Redis', 'f"the exchange (Redis'),
    Mutant(FAILURES, "exchange_name=exchange_name)", "exchange_name=None)"),
    Mutant(
        FAILURES,
        "redis.AuthenticationError | redis.exceptions.NoPermissionError):",
        "redis.exceptions.NoPermissionError):",
    ),
    Mutant(FAILURES, "redis.ConnectionError | redis.TimeoutError):", "redis.TimeoutError):"),
    Mutant(FAILURES, 'elif "equal or smaller" in reason:', "elif False:"),
    Mutant(FAILURES, "elif any(word in reason for word in FULL):", "elif False:"),
    Mutant(
        SETTINGS, "class RedisSettings(Settings):", 'class RedisSettings(Settings, extra="ignore"):'
    ),
    Mutant(
        SETTINGS,
        'raise ValueError("must look like redis://user:password@host:6379/0, without a query")',
        'raise ValueError(f"{url.get_secret_value()} is no address")',
    ),
    Mutant(SETTINGS, '"{exchange}", exchange_name)', '"{exchange}", exchange_name.lower())'),
    Mutant(
        SETTINGS, '"{exchange}", exchange_name)', '"{exchange}", exchange_name.replace(".", "-"))'
    ),
    Mutant(SETTINGS, '"{exchange}", exchange_name)', '"{exchange}", exchange_name[:100])'),
    Mutant(PLUGIN, "api=1,", "api=2,"),
    Mutant(PLUGIN, "from tidings_redis.settings", "import redis\nfrom tidings_redis.settings"),
    Mutant(PRODUCER, "Capability.MOST_RECENT_ACCEPTED, Capability.ROUTING}", "Capability.ROUTING}"),
    Mutant(
        PRODUCER,
        "        self._settings = settings",
        "        self._settings = settings\n        OpenRedisExchange(ExchangeContext('made'), settings).close()",
    ),
    Mutant(
        PRODUCER,
        "return OpenRedisExchange(context, self._settings)",
        "return self.__dict__.setdefault(context.exchange_name, OpenRedisExchange(context, self._settings))",
    ),
    Mutant(
        EXCHANGE,
        "self._batch: dict[int, dict[Any, Any]] = {}",
        'self._batch: dict[int, dict[Any, Any]] = context.memory.setdefault("batch", {})',
    ),
    Mutant(
        EXCHANGE,
        "self._accepted: int | None = None",
        "self._accepted: int | None = context.position.event_id or None",
    ),
    Mutant(
        EXCHANGE,
        "        for notification in notifications:",
        "        for notification in notifications[:1]:",
    ),
    Mutant(
        EXCHANGE,
        "        for notification in notifications:",
        "        for notification in reversed(notifications):",
    ),
    Mutant(
        EXCHANGE,
        "            self._batch[notification.event_id] = self._fields(notification)",
        "            try:\n                self._batch[notification.event_id] = self._fields(notification)\n            except UndeliverableEventError:\n                continue",
    ),
    Mutant(
        EXCHANGE,
        "        for notification in notifications:\n            self._batch[notification.event_id] = self._fields(notification)",
        "        every = [(each, self._fields(each)) for each in notifications]\n        for notification, fields in every:\n            self._batch[notification.event_id] = fields",
    ),
    Mutant(
        EXCHANGE,
        "if len(self._batch) >= self._settings.batch_size or self._size >= BATCH_BYTES:",
        "if False:",
    ),
    Mutant(EXCHANGE, " or self._size >= BATCH_BYTES", ""),
    Mutant(
        EXCHANGE,
        "                self._publish(self._client)\n\n",
        "                with suppress(Exception):\n                    self._publish(self._client)\n\n",
    ),
    Mutant(
        EXCHANGE,
        "            self._publish(self._client)\n            return",
        "            return",
    ),
    Mutant(EXCHANGE, "if timeout is None or timeout >= self._settings.timeout:", "if True:"),
    Mutant(EXCHANGE, "            self._publish(client)\n", "            client.ping()\n"),
    Mutant(
        EXCHANGE,
        "        return self._accepted\n",
        "        return max(self._batch, default=self._accepted)\n",
    ),
    Mutant(
        EXCHANGE,
        "        return self._accepted\n",
        "        self._publish(self._client)\n        return self._accepted\n",
    ),
    Mutant(EXCHANGE, "self._accepted = max(self._batch)", "self._accepted = min(self._batch)"),
    Mutant(
        EXCHANGE,
        "        with failures_of(self._exchange_name, self._settings):\n            transaction.execute()\n        self._accepted = max(self._batch)",
        "        self._accepted = max(self._batch)\n        with failures_of(self._exchange_name, self._settings):\n            transaction.execute()",
    ),
    Mutant(
        EXCHANGE,
        "            transaction.execute()\n",
        "            transaction.execute(raise_on_error=False)\n",
    ),
    Mutant(EXCHANGE, "        self._batch, self._size = {}, 0\n", ""),
    Mutant(EXCHANGE, "pipeline(transaction=True)", "pipeline(transaction=False)"),
    Mutant(EXCHANGE, 'id=f"{self._position.generation}-{event_id}"', 'id="*"'),
    Mutant(EXCHANGE, 'id=f"{self._position.generation}-{event_id}"', 'id=f"0-{event_id}"'),
    Mutant(EXCHANGE, "maxlen=self._settings.maxlen", "maxlen=100"),
    Mutant(EXCHANGE, "        if not event_id:\n            return None\n", ""),
    Mutant(EXCHANGE, 'mark = fingerprint_of(fields[b"type"].decode(), occurred_on)', "mark = None"),
    Mutant(
        EXCHANGE,
        'generation, fields.get(b"store", b"").decode())',
        "generation, self._position.store)",
    ),
    Mutant(
        EXCHANGE,
        "Accepted(event_id, mark, generation, fields",
        "Accepted(event_id, mark, self._position.generation, fields",
    ),
    Mutant(
        EXCHANGE, "        time.sleep(seconds)\n        self._ping()", "        time.sleep(seconds)"
    ),
    Mutant(
        EXCHANGE,
        "        time.sleep(seconds)\n        self._ping()",
        "        with suppress(Exception):\n            time.sleep(seconds)\n            self._ping()",
    ),
    Mutant(EXCHANGE, "time.sleep(seconds)", "time.sleep(seconds * 1000)"),
    Mutant(
        EXCHANGE,
        "        with suppress(Exception):\n            self._client.close()",
        "        self._client.ping()\n        self._client.close()",
    ),
    Mutant(
        EXCHANGE,
        "        with suppress(Exception):\n            self._client.close()",
        "        with suppress(Exception):\n            self._publish(self._client)\n            self._client.close()",
    ),
    Mutant(EXCHANGE, "            if header in OWN_FIELDS:", "            if False:"),
    Mutant(EXCHANGE, "                    event_id=event_id,\n", ""),
    Mutant(EXCHANGE, '"message_id": event_id,', '"message_id": f"{event_id:06}",'),
    Mutant(EXCHANGE, '"type": type_name,', '"type": type_name[:200],'),
    Mutant(EXCHANGE, 'timespec="microseconds"', 'timespec="milliseconds"'),
    Mutant(
        EXCHANGE,
        "occurred_on.astimezone(UTC).isoformat",
        "occurred_on.replace(tzinfo=None).isoformat",
    ),
    Mutant(
        EXCHANGE, '"content_type": message.content_type,', '"content_type": "application/json",'
    ),
    Mutant(EXCHANGE, '"body": message.body,', '"body": message.body.strip(),'),
    Mutant(EXCHANGE, '"body": message.body,', '"body": message.body.decode(errors="replace"),'),
    Mutant(
        EXCHANGE, '**({"routing_key": message.routing_key} if message.routing_key else {}),', ""
    ),
    Mutant(
        EXCHANGE,
        "            **message.headers,",
        "            **{name: text for name, text in message.headers.items() if text},",
    ),
    Mutant(
        EXCHANGE,
        "            **message.headers,",
        "            **{name: text[:1024] for name, text in message.headers.items()},",
    ),
]

HARMLESS = [
    Mutant(
        FAILURES,
        '.rpartition(" of pipeline caused error: ")[2]',
        "",
        "today's library cuts what it quotes before it comes to the body",
    ),
    Mutant(
        FAILURES,
        "settings) from None",
        "settings) from error",
        "the library's own error shows in a traceback only, and holds no secret",
    ),
    Mutant(
        EXCHANGE,
        '"store": self._position.store,',
        '"store": "",',
        "an empty store means that the broker cannot say; the fingerprint is compared all the same",
    ),
]
