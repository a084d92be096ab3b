"""What there is to be asked for."""

from __future__ import annotations

from http import HTTPStatus
from threading import BoundedSemaphore
from typing import TYPE_CHECKING

from tidings.blame import sentence_of
from tidings.health.answer import PageAnswer, as_json
from tidings.health.bounded_look import BoundedLook
from tidings.operations.status import status_json, statuses

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.bootstrap import Tidings
    from tidings.health.answer import Page, Pages
    from tidings.relay.observers import Observers
    from tidings.relay.pulse import Vitals
    from tidings.relay.worker import Worker


MOST_SCRAPES = 4
"""At a time: an observer that hangs may hold so many threads, and no more."""


def pages_of(tidings: Tidings, worker: Worker) -> Pages:
    """Return every page, by its path."""
    stuck_seconds = tidings.configuration.relay.stuck_seconds
    status = BoundedLook(lambda: status_json(statuses(tidings)), "The event store")
    return {
        "/livez": lambda _: _live(worker, stuck_seconds),
        "/readyz": lambda _: _all(worker, "ready", lambda each: each.is_ready),
        "/startedz": lambda _: _all(worker, "started", lambda each: each.was_tried),
        "/status": lambda _: status_page(status),
        "/metrics": metrics(tidings.observers),
    }


def metrics(observers: Observers) -> Page:
    """Return the page of what the observers show."""
    scrapes = BoundedSemaphore(MOST_SCRAPES)

    def page(accept: str) -> PageAnswer:
        if not scrapes.acquire(blocking=False):
            said = f"{MOST_SCRAPES} others are being answered. Ask less often."
            return as_json(HTTPStatus.SERVICE_UNAVAILABLE, {"error": said})
        try:
            shown = observers.exposition(accept)
        finally:
            scrapes.release()
        if shown is None:
            said = "No observer shows metrics: add [observers.prometheus]."
            return as_json(HTTPStatus.NOT_FOUND, {"error": said})
        return PageAnswer(HTTPStatus.OK, shown.body, shown.content_type)

    return page


def _live(worker: Worker, stuck_seconds: float) -> PageAnswer:
    return _all(
        worker,
        "live",
        lambda each: each.is_live(stuck_seconds),
        lambda each: each.why_not_live(stuck_seconds) or each.reason,
    )


def _all(
    worker: Worker,
    word: str,
    is_so: Callable[[Vitals], bool],
    reason: Callable[[Vitals], str | None] = lambda each: each.reason,
) -> PageAnswer:
    """Say whether it is so of every exchange, and how each of them is."""
    said = {
        each.exchange_name: {
            word: is_so(each),
            "state": each.state,
            "reason": reason(each),
            "silent_seconds": round(each.silent_seconds, 3),
        }
        for each in worker.vitals()
    }
    every = all(each[word] for each in said.values())
    status = HTTPStatus.OK if every else HTTPStatus.SERVICE_UNAVAILABLE
    return as_json(status, {word: every, "exchanges": said})


def status_page(status: BoundedLook[str]) -> PageAnswer:
    """Return what `tidings status --json` says, or why it cannot be said."""
    try:
        return PageAnswer(HTTPStatus.OK, f"{status.ask()}\n".encode())
    except Exception as error:  # noqa: BLE001 - a plugin's fault, too, is an answer
        return as_json(HTTPStatus.SERVICE_UNAVAILABLE, {"error": sentence_of(error)})
