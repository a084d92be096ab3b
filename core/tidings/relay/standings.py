"""How far exchanges have got, found out for all of them at once."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from tidings.interfaces import Capability, Standing
from tidings.relay.lag import lag
from tidings.shown import escaping_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tidings.interfaces import EventStore, PublishedMessageTracker
    from tidings.relay.lag import Lag

log = escaping_logger(__name__)


def standings(
    sources: Mapping[str, str],
    new_tracker: Callable[[], PublishedMessageTracker],
    new_store: Callable[[str], EventStore],
) -> Iterator[tuple[str, Standing]]:
    """Give each exchange with how far it has got, as soon as that is known.

    ``sources`` names each exchange's source; ``new_store`` is asked by an exchange. The tracker is
    asked once, and each source through one connection: what two exchanges at one position have
    before them is looked up once. An exchange is left out if its source cannot be read, and all
    are if the tracker cannot.
    """
    with ExitStack() as stack:
        try:
            tracker = stack.enter_context(closing(new_tracker()))
            rows = tracker.tracked_exchanges()
            can_quarantine = Capability.QUARANTINE in tracker.capabilities
            quarantined = tracker.count_quarantined() if can_quarantine else {}
        except Exception as error:  # noqa: BLE001 - whoever looks sees that nothing was found
            log.debug("Could not look how far exchanges have got: %s", error)
            return
        positions = {each.exchange_name: each.position.event_id for each in rows}
        stores: dict[str, EventStore] = {}
        found: dict[tuple[str, int], Lag] = {}
        unreadable: set[str] = set()
        for name, source in sources.items():
            position = positions.get(name, 0)
            if source in unreadable:
                continue
            try:
                if source not in stores:
                    stores[source] = stack.enter_context(closing(new_store(name)))
                if (source, position) not in found:
                    found[source, position] = lag(stores[source], position)
            except Exception as error:  # noqa: BLE001 - the same
                log.debug("Could not look how far %s has got: %s", name, error)
                unreadable.add(source)
                continue
            yield name, _standing(position, found[source, position], quarantined.get(name, 0))


def _standing(position: int, behind: Lag, quarantined: int) -> Standing:
    return Standing(
        position=position,
        newest_event_id=behind.newest_event_id or 0,
        events_behind=behind.events,
        events_behind_is_exact=behind.is_exact,
        seconds_behind=behind.seconds,
        quarantined=quarantined,
    )
