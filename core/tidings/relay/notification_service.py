"""The book's service: publish what an exchange has not had yet, then return."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidings.relay.owner import Owner
from tidings.relay.run import running

if TYPE_CHECKING:
    from tidings.relay.route import Route
    from tidings.relay.run import Run


class NotificationService:
    """Publishes exchanges' unpublished events, and remembers how far each has come.

    Knows no backend: whatever keeps the promises of :mod:`tidings.interfaces` will do. Each route
    is one exchange. An event that can never be sent stops its exchange, or is put in quarantine and
    passed, as the route says. Between two calls it holds no connection of the event store or of
    the producer; the tracker is its owner's to close.

    **Threads.** One object is used by one thread at a time. Several processes may publish to one
    exchange: the lease lets one of them work.
    """

    def __init__(self, *routes: Route) -> None:
        self._routes = {route.exchange_name: route for route in routes}
        self._owner = Owner()

    def publish_notifications(self, exchange_name: str, limit: int | None = None) -> int:
        """Publish every event the exchange has not had, at most ``limit``; return how many.

        Returns when the broker has accepted them all and the position is tracked. If something
        fails, what was accepted until then is tracked and the error is raised: calling again goes
        on from there. Raises :class:`~tidings.errors.LeaseHeldError` while another relay works on
        the exchange; any other :class:`~tidings.errors.TidingsError` says what failed.
        """
        if limit is not None and limit < 1:
            raise ValueError(f"limit must be at least 1, not {limit}")
        route = self._routes.get(exchange_name)
        if route is None:
            known = ", ".join(map(repr, self._routes)) or "none"
            raise ValueError(f"No route is for exchange {exchange_name!r}; there is: {known}.")
        with running(route, self._owner) as run:
            _publish(run, limit)
        return run.accepted_count


def _publish(run: Run, limit: int | None) -> None:
    more = True
    while more:
        remaining = None if limit is None else limit - run.sent_count
        more = remaining != 0 and run.step(remaining) > 0
        if not more:
            run.flush()
            # If the broker refused one of them just now, there is room for another.
            more = remaining == 0 and run.sent_count < (limit or 0)
