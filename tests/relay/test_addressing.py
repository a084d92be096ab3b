"""A routing key is made for every event that is sent, wherever it is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.relay.parts import X
from tests.relay.working import running
from tidings import Capability, JsonSerializer, NewEvent, UndeliverableEventError
from tidings.relay.stored_notifications import StoredNotifications
from tidings.routing.addressing import Addressing
from tidings.routing.template import Template
from tidings.testing import eventually

if TYPE_CHECKING:
    from tests.relay.parts import Parts

BY_TENANT = Addressing(Template.parse("{metadata.tenant}.{type_name}"))


def append(parts: Parts, *tenants: str | None) -> None:
    new = [NewEvent("Paid", 1, metadata=tenant and {"tenant": tenant}) for tenant in tenants]  # type: ignore[arg-type]
    with parts.store.transaction() as transaction:
        parts.store.append(transaction, *new)


def keys(parts: Parts) -> list[str]:
    return [message.routing_key for message in parts.broker.messages(X)]


def test_every_event_is_sent_with_its_key(parts: Parts) -> None:
    append(parts, "acme", "umbrella")

    parts.service(addressing=BY_TENANT).publish_notifications(X)

    assert keys(parts) == ["acme.Paid", "umbrella.Paid"]


def test_an_event_that_lacks_a_field_stops_the_exchange_and_is_named(parts: Parts) -> None:
    append(parts, "acme", None, "umbrella")

    with pytest.raises(UndeliverableEventError) as caught:
        parts.service(addressing=BY_TENANT).publish_notifications(X)

    assert caught.value.event_id == 2
    assert str(caught.value) == (
        "Exchange 'x': event 2 (Paid) cannot be addressed: it lacks metadata.tenant. A default, "
        "{metadata.tenant:unknown}, would stand for it. Or put such events in quarantine."
    )
    assert keys(parts) == ["acme.Paid"]
    assert parts.position() == 1


def test_or_goes_into_quarantine_and_comes_out_with_its_key(parts: Parts) -> None:
    append(parts, "acme", None, "umbrella")
    parts.service(addressing=BY_TENANT, passes_poison=True).publish_notifications(X)
    assert keys(parts) == ["acme.Paid", "umbrella.Paid"]
    assert [event.event_id for event in parts.tracker.quarantined_events()] == [2]

    parts.tracker.ask_to_retry(X)
    mended = Addressing(Template.parse("{metadata.tenant:unknown}.{type_name}"))
    late = frozenset({Capability.OUT_OF_ORDER})
    with running(parts.route(addressing=mended, passes_poison=True, capabilities=late)):
        eventually(lambda: not parts.tracker.quarantined_events())

    assert keys(parts) == ["acme.Paid", "umbrella.Paid", "unknown.Paid"]


def test_what_a_backend_reads_again_from_the_store_has_the_same_key(parts: Parts) -> None:
    append(parts, "acme", None)
    notifications = StoredNotifications(
        lambda: parts.store,
        lambda _: JsonSerializer(),
        lambda _: [],
        lambda _: True,
        lambda _: BY_TENANT,
    )

    assert [each.message.routing_key for each in notifications.since(X, 0, 9)] == ["acme.Paid"]
