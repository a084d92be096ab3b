"""The example of an event store and a tracker that are not SQL, as an application meets it."""

from __future__ import annotations

import json
import re
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.examples.conftest import STORE_EXAMPLE

if TYPE_CHECKING:
    from tests.packaging.conftest import Environment
    from tests.servers.given import Broker

README = (STORE_EXAMPLE / "README.md").read_text(encoding="utf-8")
RECORDING = re.findall(r"^```python\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def configure(environment: Environment, url: str) -> None:
    prefix = f"test-{uuid.uuid4().hex[:12]}"
    (environment.folder / "tidings.toml").write_text(
        f'[event_store]\nbackend = "redis-store"\nurl = "{url}"\nprefix = "{prefix}"\n'
        '[exchanges.my-bc-app]\nproducer = "jsonlines"\n'
    )


@pytest.mark.packaging
@pytest.mark.timeout(600)
def test_what_an_application_records_in_redis_is_carried_once_and_pruned(
    installed: Environment, redis_server: Broker
) -> None:
    configure(installed, redis_server.url)
    assert "run `tidings init --tables`" in installed.fails("spread")
    installed.tidings("init", "--tables")
    (snippet,) = RECORDING
    for _ in range(3):
        installed.python("-c", snippet)

    lines = installed.tidings("spread").splitlines()

    assert [json.loads(line)["body"] for line in lines] == [{"total": 3}] * 3
    assert installed.tidings("spread") == ""
    (exchange,) = json.loads(installed.tidings("status", "--json"))["exchanges"]
    assert (exchange["last_published_id"], exchange["events_behind"]) == (3, 0)
    assert installed.tidings("prune", "--keep", "1").startswith("2 event(s) deleted.")
    assert installed.tidings("check").count("ok ") == 4
