"""What docs/write-a-plugin.md shows beside the two examples works."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tests.examples.snippets.loop_thread import LoopThread
from tests.examples.snippets.other_kinds import (
    CountingObserver,
    CountingSettings,
    IndentedSerializer,
    IndentedSettings,
)
from tests.sql.waiting import Beside
from tidings.testing import SerializerContract

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.plugins import Serializer

NAME = "of this test"


class TestIndentedSerializer(SerializerContract):
    plugin_module, backend = "tests.examples.snippets.other_kinds", "indented"

    @pytest.fixture
    @override
    def make_serializer(self) -> Callable[[], Serializer]:
        return lambda: IndentedSerializer(IndentedSettings())


def running() -> bool:
    return any(thread.name == NAME for thread in threading.enumerate())


def test_the_loop_gives_results_and_errors_and_ends_with_close() -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise ConnectionResetError

    loop = LoopThread(NAME)
    assert loop.call(asyncio.sleep(0, "result"), 10) == "result"
    with pytest.raises(ConnectionResetError):
        loop.call(fail(), 10)
    with pytest.raises(TimeoutError):
        loop.call(asyncio.sleep(60), 0.05)
    assert running()

    loop.close()

    assert not running()


def test_close_ends_what_still_runs() -> None:
    loop = LoopThread(NAME)
    begun = threading.Event()

    async def hang() -> None:
        begun.set()
        await asyncio.sleep(60)

    hangs = Beside(lambda: loop.call(hang(), 60))
    assert begun.wait(10)
    loop.close()

    assert not running()
    with pytest.raises(CancelledError):
        hangs.result()


def test_the_observer_counts_what_was_published() -> None:
    observer = CountingObserver(CountingSettings())
    for last in (3, 5):
        observer.published("orders", 2, last)

    assert observer.published_so_far == {"orders": 4}
