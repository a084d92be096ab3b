"""Where a run's time goes."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from types import TracebackType

    from tidings.relay.observers import Observers

Stage: TypeAlias = Literal["read", "serialize", "send", "await", "track"]

TELL_AFTER = 1.0
"""Seconds between two tellings."""


class Stages:
    """Adds up the seconds of each stage, and tells the observers now and then.

    A stage that begins within another one (what is accepted during a call is tracked during it)
    has its time for itself.
    """

    def __init__(self, exchange_name: str, observers: Observers) -> None:
        self._exchange_name = exchange_name
        self._observers = observers
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._stage: Stage | None = None
        self._since = self._told = time.monotonic()

    def during(self, stage: Stage) -> _During:
        """Return what is entered around that stage."""
        return _During(self, stage)

    def change(self, stage: Stage | None) -> Stage | None:
        """Begin with ``stage``; return the one that was going on."""
        now, before = time.monotonic(), self._stage
        if before is not None:
            self._seconds[before] += now - self._since
        self._stage, self._since = stage, now
        return before

    def tell_if_due(self) -> None:
        """Tell the observers if it is long since they were told."""
        if time.monotonic() - self._told >= TELL_AFTER:
            self.tell()

    def tell(self) -> None:
        """Tell the observers what has come together."""
        self._told = time.monotonic()
        if self._seconds:
            seconds = dict(self._seconds)
            self._seconds.clear()
            self._observers.spent(self._exchange_name, seconds)


class _During:
    """One stage; a class, because entering it comes with every batch."""

    __slots__ = ("_before", "_stage", "_stages")

    def __init__(self, stages: Stages, stage: Stage) -> None:
        self._stages = stages
        self._stage = stage

    def __enter__(self) -> None:
        self._before = self._stages.change(self._stage)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stages.change(self._before)
