"""The page on routing: its example is what happens."""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from tests.activemq.client import Client as StompClient
from tests.activemq.client import ids
from tests.command import Project
from tests.rabbitmq.client import Client
from tidings.routing.template import Template
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.servers.given import Broker, StreamBroker

PAGE = (Path(__file__).parents[2] / "docs" / "routing.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_the_first_example_prints_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path)
    project.configure(blocks("toml")[0])
    project.succeed("init", "--tables")
    unpooled: Callable[..., object] = lambda url: create_engine(url, poolclass=NullPool)  # noqa: E731
    code = blocks("python")[0].replace("create_engine(", "unpooled(", 1)
    code = code.replace("from sqlalchemy import create_engine\n", "")
    exec(compile(code, "page", "exec"), {"unpooled": unpooled})  # noqa: S102 - ours

    printed = project.succeed("spread", "shop").lines

    for line in printed:
        del line["occurred_on"]
    shown = re.split(r"\n(?=\{)", blocks("json")[0].strip())
    assert printed == [json.loads(line) for line in shown]
    assert [list(line) for line in printed] == [list(json.loads(line)) for line in shown]


def test_rabbitmqs_example_gives_each_queue_what_it_wants(
    rabbitmq: StreamBroker, tmp_path: Path
) -> None:
    names = {name: f"{name}-{uuid.uuid4().hex[:8]}" for name in ("shop", "billing", "audit")}
    text = re.sub(r'"amqp:[^"]*"', f'"{rabbitmq.url}"', blocks("toml")[1])
    text = re.sub(
        r"^(billing|audit) =", lambda found: f"{names[found[1]]} =", text, flags=re.MULTILINE
    )
    exchange = names["shop"]
    text = text.replace("[exchanges.shop]", f"[exchanges.{exchange}]")
    project = Project(tmp_path)
    project.configure(f'[event_store]\nurl = "sqlite:///events.db"\n{text}')
    project.succeed("init", "--tables")
    project.append(
        *({"type_name": name, "body": 1} for name in ["order.placed", "invoice.sent", "user.seen"])
    )
    keys = ("--routing-key", "shop.user.#", "--routing-key", "shop.invoice.*")
    with project.running("listen", exchange, *keys, "--count", "2", "--timeout", "60") as listener:
        eventually(lambda: "amq.gen" in rabbitmq.ctl("list_queues", "name"), "its queue", 60)
        project.succeed("spread", exchange)
        assert listener.process.wait(60) == 0

    shown = [line["routing_key"] for line in listener.lines]
    assert shown == ["shop.invoice.sent", "shop.user.seen"]
    with Client(rabbitmq.url) as client:
        billing = [seen.routing.routing_key for seen in client.drain(names["billing"])]
        assert billing == ["shop.order.placed", "shop.invoice.sent"]
        assert client.ids(names["audit"]) == [1, 2, 3]


def test_activemqs_example_gives_each_subscriber_what_it_wants(
    activemq: Broker, tmp_path: Path
) -> None:
    exchange = f"shop-{uuid.uuid4().hex[:8]}"
    text = re.sub(r'"stomp:[^"]*"', f'"{activemq.url}"', blocks("toml")[2])
    project = Project(tmp_path)
    project.configure(
        '[event_store]\nurl = "sqlite:///events.db"\n'
        + text.replace("[exchanges.shop]", f"[exchanges.{exchange}]")
    )
    project.succeed("init", "--tables")
    project.append(
        *({"type_name": name, "body": 1} for name in ["order.placed", "invoice.sent", "order"])
    )
    project.succeed("spread", exchange)

    with StompClient(activemq.url) as client:
        billing = client.read(f"Consumer.billing.VirtualTopic.{exchange}.shop.order.*", 1)
        audit = client.read(f"Consumer.audit.VirtualTopic.{exchange}.>", 3)
    assert ids(billing) == [1]
    assert ids(audit) == [1, 2, 3]
    listen = ("listen", exchange, "--as", "late", "--routing-key", "shop.invoice.#")
    assert project.succeed(*listen, "--timeout", "0.3").lines == []
    project.append({"type_name": "invoice.sent", "body": 1}, {"type_name": "order", "body": 1})
    project.succeed("spread", exchange)
    shown = project.succeed(*listen, "--count", "1", "--timeout", "60").lines
    assert [line["routing_key"] for line in shown] == ["shop.invoice.sent"]


def test_the_forms_of_the_table_are_templates() -> None:
    forms = re.findall(r"`(\{[a-z_.:A-Z]+\}|\{\{|\}\})`", PAGE)

    assert len(forms) >= 6
    for form in forms:
        Template.parse(form)
