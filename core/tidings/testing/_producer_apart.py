"""A producer with several exchanges: none is taken for another, none pays for another's failure."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from tidings.errors import DeliveryError, ExchangeLockedError
from tidings.interfaces import Capability, Position
from tidings.testing import samples
from tidings.testing._judging import broken, check
from tidings.testing._plugin import missing
from tidings.testing.promises import Producer

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tidings.testing._kit import Kit
    from tidings.testing.proxy import Link


class ApartPromises:
    """What holds between the exchanges of one producer."""

    def test_exchanges_with_names_much_alike_are_apart(
        self, kit: Kit, subscribe: Callable[[str], None], request: pytest.FixtureRequest
    ) -> None:
        if _is_overridden(request, "new_exchange") and not _is_overridden(request, "subscribe"):
            raise missing("subscribe", "It subscribes to the exchange of a name that it is given.")
        names = samples.names_like(f"contract-{uuid.uuid4().hex[:12]}")
        producer = kit.producer()
        sent = {name: samples.notifications(10 * n + 1, 2) for n, name in enumerate(names)}
        for name in names:
            subscribe(name)
        for name, notifications in sent.items():
            kit.store(name, notifications)
            producer.deliver(name, notifications)
        for name, notifications in sent.items():
            found = [int(message.message_id) for message in kit.read(name, notifications)]
            wanted = [each.event_id for each in notifications]
            check(
                found == wanted,
                f"{Producer.NAMES} {Producer.EXCHANGES}",
                f"Of the exchanges {names}, {name} was sent {wanted}; there arrived {found}.",
            )

    def test_a_failed_exchange_does_not_disturb_another(
        self, kit: Kit, new_exchange: Callable[[], str], link: Link
    ) -> None:
        failed, other = new_exchange(), new_exchange()
        producer = kit.producer(via=link.address)
        sent, others = samples.notifications(1, 30), samples.notifications(1000, 30)
        kit.store(failed, sent)
        kit.store(other, others)
        producer.open(failed)
        kit.send_and_flush(producer, failed, sent[:10])
        link.freeze()
        try:
            producer.send(failed, sent[10:20])
            producer.flush(failed)
        except DeliveryError:
            pass
        else:
            broken(Producer.FLUSH, "The connection carries nothing, and flush() returned.")
        link.cut()
        link.thaw()
        # The failed one is not closed yet.
        producer.deliver(other, others[:10])
        accepted = producer.accepted_id(failed), producer.accepted_id(other)
        check(
            accepted == (sent[9].event_id, others[9].event_id),
            f"{Producer.FAILED} {Producer.EXCHANGES}",
            f"One exchange had accepted 10 when it failed, another then 1009; accepted_id() is "
            f"{accepted}.",
        )
        producer.close(failed)
        try:
            kit.send_and_flush(producer, other, others[10:20])
            producer.deliver(failed, sent, after=10)
            kit.send_and_flush(producer, other, others[20:])
        except DeliveryError as error:
            broken(
                Producer.EXCHANGES,
                f"One exchange failed, was closed and opened again; another then raised {error!r}.",
            )
        kit.expect_exactly(other, others)
        kit.expect_exactly_once(producer, failed, sent)

    def test_who_is_locked_out_of_one_exchange_works_on_another(
        self, kit: Kit, new_exchange: Callable[[], str]
    ) -> None:
        kit.need(Capability.LOCK)
        locked, free = new_exchange(), new_exchange()
        holder, producer = kit.producer(), kit.producer()
        sent = samples.notifications(1, 20)
        holder.open(locked)
        producer.open(free)
        kit.send_and_flush(producer, free, sent[:10])
        try:
            producer.open(locked, Position(0))
        except ExchangeLockedError:
            producer.close(locked)
        else:
            broken(Producer.LOCK, "A second producer opened an exchange that was open.")
        kit.send_and_flush(producer, free, sent[10:])
        kit.expect_exactly(free, sent)


def _is_overridden(request: pytest.FixtureRequest, fixture: str) -> bool:
    """Return whether the test class has a fixture of its own of that name."""
    owner = next(each for each in request.cls.__mro__ if fixture in vars(each))
    return not owner.__module__.startswith("tidings.testing.")
