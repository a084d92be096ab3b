"""What a relay may not do to an outbox is found out before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from tests.sql.test_postgresql_servers import autocommit
from tidings.errors import EventStoreError
from tidings.sql.outbox import OutboxSettings, outbox_event_store

if TYPE_CHECKING:
    from tests.sql.test_postgresql_servers import Start


@pytest.mark.parametrize(
    ("then", "rights", "is_refused"),
    [
        ("mark", "SELECT", True),
        ("mark", "SELECT, UPDATE", False),
        ("mark", "SELECT, UPDATE (dispatched_on)", False),
        ("remove", "SELECT, UPDATE", True),
        ("remove", "SELECT, UPDATE, DELETE", False),
    ],
)
def test_a_relay_that_may_not_mark_or_remove_what_it_has_sent_sends_nothing(
    own_postgresql: Start, then: str, rights: str, is_refused: bool
) -> None:
    url = own_postgresql().new_database()
    owner = outbox_event_store(OutboxSettings.model_validate({"url": url}))
    owner.create()
    autocommit(
        url,
        "CREATE USER relay",
        "GRANT SELECT ON tidings_schema, pruned_event TO relay",
        "GRANT SELECT ON SEQUENCE outbox_event_id_seq TO relay",
        f"GRANT {rights} ON outbox TO relay",
    )
    theirs = make_url(url).set(username="relay").render_as_string()
    relay = outbox_event_store(OutboxSettings.model_validate({"url": theirs, "then": then}))
    if is_refused:
        with pytest.raises(EventStoreError, match="denies a right"):
            relay.check()
    else:
        relay.check()
    for store in (owner, relay):
        store.close()
