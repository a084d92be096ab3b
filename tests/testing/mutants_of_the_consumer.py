"""Faults planted into the example's consumer, each by changing one piece of text.

It acknowledges too early, too much or not at all, and forgets what was pending. It confuses
subscribers and openings, and takes a lost connection for an empty exchange.
"""

# ruff: noqa: E501 - pieces of the code as they stand

from __future__ import annotations

from tests.testing.mutants import Mutant

CONSUMER = "tidings_redis/consumer.py"

MUTANTS = [
    Mutant(CONSUMER, "subscriber or settings.subscriber", "settings.subscriber"),
    Mutant(
        CONSUMER,
        '        self._exchange_name = self._stream = ""',
        '        self._exchange_name = self._stream = ""\n        connect(settings).ping()',
    ),
    Mutant(
        CONSUMER,
        "        self._read: deque[ReceivedMessage] = deque()",
        '        self._read: deque[ReceivedMessage] = self.__dict__.setdefault("_read", deque())',
    ),
    Mutant(
        CONSUMER,
        "        self._opening.begin(",
        "        self._opening = Opening[redis.Redis]()\n        self._opening.begin(",
    ),
    Mutant(CONSUMER, ", mkstream=True)", ", mkstream=False)"),
    Mutant(
        CONSUMER,
        '                if "BUSYGROUP" not in str(error):\n                    raise',
        "                raise",
    ),
    Mutant(
        CONSUMER,
        "            try:\n                client.xgroup_create",
        "            try:\n                client.xgroup_destroy(self._stream, self._group)\n                client.xgroup_create",
    ),
    Mutant(
        CONSUMER,
        "        with failures_of(exchange_name, self._settings):\n            try:",
        "        if True:\n            try:",
    ),
    Mutant(
        CONSUMER,
        "            with failures_of(self._exchange_name, self._settings):\n                self._read_more",
        "            if True:\n                self._read_more",
    ),
    Mutant(
        CONSUMER,
        "            if left <= 0:\n                return None\n",
        "            left = max(left, 0.1)\n",
    ),
    Mutant(CONSUMER, "min(left, self._settings.timeout / 2)", "left"),
    Mutant(CONSUMER, "min(left, self._settings.timeout / 2)", "self._settings.timeout / 2"),
    Mutant(CONSUMER, "self._read.popleft()", "self._read.pop()"),
    Mutant(
        CONSUMER,
        "        return self._read.popleft()",
        "        message = self._read.popleft()\n        self.acknowledge(message)\n        return message",
    ),
    Mutant(
        CONSUMER,
        "self._opening.name_of(message)",
        "message.delivery_tag[1]",
    ),
    Mutant(
        CONSUMER, "            client.xack(self._stream, self._group, entry)", "            pass"
    ),
    Mutant(
        CONSUMER,
        "            client.xack(self._stream, self._group, entry)",
        "            client.xack(self._stream, self._group, entry, *(each.delivery_tag[1] for each in self._read))",
    ),
    Mutant(
        CONSUMER,
        "            client.xack(self._stream, self._group, entry)",
        "            client.xdel(self._stream, entry)",
    ),
    Mutant(
        CONSUMER,
        "            with suppress(Exception):\n                client.close()",
        "            client.ping()\n            client.close()",
    ),
    Mutant(
        CONSUMER,
        "                client.close()",
        "                client.xgroup_destroy(self._stream, self._group)\n                client.close()",
    ),
    Mutant(CONSUMER, "                client.close()", "                self._kept = client"),
    Mutant(
        CONSUMER,
        "            self._group,  # always the same",
        "            str(id(self)),  # always the same",
    ),
    Mutant(
        CONSUMER,
        "            count=READ_AHEAD,",
        "            count=READ_AHEAD,\n            noack=True,",
    ),
    Mutant(CONSUMER, "block=max(int(seconds * 1000), 1)", "block=int(seconds)"),
    Mutant(CONSUMER, '        self._after = "0"', "        self._after = NEW"),
    Mutant(CONSUMER, "entries[-1][0] if entries else NEW", "NEW"),
    Mutant(
        CONSUMER,
        "        if self._after != NEW:\n            self._after = entries[-1][0] if entries else NEW",
        "        if self._after != NEW and not entries:\n            self._after = NEW",
    ),
    Mutant(CONSUMER, "self._read.extend(", "self._read.extendleft("),
    Mutant(CONSUMER, 'message_id=texts["message_id"]', "message_id=delivery_tag[1].decode()"),
    Mutant(
        CONSUMER,
        'datetime.fromisoformat(texts["occurred_on"])',
        'datetime.fromisoformat(texts["occurred_on"]).replace(microsecond=0)',
    ),
    Mutant(CONSUMER, 'body=fields[b"body"]', 'body=fields[b"body"].rstrip(b"\\0")'),
    Mutant(CONSUMER, 'content_type=texts["content_type"]', 'content_type="application/json"'),
    Mutant(CONSUMER, " if name not in OWN_FIELDS}", "}"),
]

HARMLESS = [
    Mutant(
        CONSUMER,
        '                if "BUSYGROUP" not in str(error):\n                    raise',
        "                pass",
        "what open() swallows, the first receive() raises",
    ),
]
