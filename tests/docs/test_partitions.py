"""The page on partitions: its examples are what happens."""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from tests.command import Project
from tidings import partition_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.servers.given import StreamBroker

PAGE = (Path(__file__).parents[2] / "docs" / "partitions.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def run(code: str) -> None:
    unpooled: Callable[..., object] = lambda url: create_engine(url, poolclass=NullPool)  # noqa: E731
    code = code.replace("create_engine(", "unpooled(", 1)
    code = code.replace("from sqlalchemy import create_engine\n", "")
    exec(compile(code, "page", "exec"), {"unpooled": unpooled})  # noqa: S102 - ours


def test_the_first_example_prints_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path)
    project.configure(blocks("toml")[0])
    project.succeed("init", "--tables")
    run(blocks("python")[0])

    printed = project.succeed("spread", "shop").lines

    for line in printed:
        del line["occurred_on"]
    shown = re.split(r"\n(?=\{)", blocks("json")[0].strip())
    assert printed == [json.loads(line) for line in shown]
    assert [list(line) for line in printed] == [list(json.loads(line)) for line in shown]


def test_the_page_computes_partitions_as_the_relay_does() -> None:
    run(blocks("python")[1])
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \| (\d+) \|$", PAGE, flags=re.MULTILINE)

    assert len(rows) == 4
    for key, hashed, of_8, of_3 in rows:
        found = [partition_of(key, number) for number in (2**32, 8, 3)]
        assert found == [int(hashed), int(of_8), int(of_3)]


def test_rabbitmqs_consumers_get_the_partitions_that_they_ask_for(
    rabbitmq: StreamBroker, tmp_path: Path
) -> None:
    billing, shop = f"billing-{uuid.uuid4().hex[:8]}", f"shop-{uuid.uuid4().hex[:8]}"
    text = re.sub(r'"amqp:[^"]*"', f'"{rabbitmq.url}"', blocks("toml")[1])
    text = text.replace('"billing"', f'"{billing}"').replace("exchanges.shop", f"exchanges.{shop}")
    project = Project(tmp_path)
    project.configure(f'[event_store]\nurl = "sqlite:///events.db"\n{text}')
    project.succeed("init", "--tables")
    orders = [f"order-{number}" for number in range(1, 21)]
    project.append(*({"type_name": "A", "body": 1, "aggregate_id": each} for each in orders))
    project.succeed("spread", shop)
    chosen = [each for each in orders if partition_of(each, 8) in (3, 4)]
    asked = ("--partition", "3", "--partition", "4", "--count", str(len(chosen)), "--timeout", "60")

    lines = project.succeed("listen", shop, "--as", billing, *asked).lines
    rest = project.succeed("listen", shop, "--as", billing, "--timeout", "2").lines

    assert len(chosen) > 1
    assert sorted(line["aggregate_id"] for line in lines) == sorted(chosen)
    assert [line["partition"] for line in lines] == [
        partition_of(line["aggregate_id"], 8) for line in lines
    ]
    assert sorted(line["aggregate_id"] for line in [*lines, *rest]) == sorted(orders)
