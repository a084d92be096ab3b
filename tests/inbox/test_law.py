"""An inbox is a set: whatever is delivered in whatever order, each message is new once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidings import Inbox

if TYPE_CHECKING:
    from sqlalchemy import Engine

# Few letters, so that ids differ by case, accents and spaces alone: collations confuse those.
ids = st.text("aAáÁ 1ǅß\N{COMBINING ACUTE ACCENT}", min_size=1, max_size=3)
keys = st.tuples(st.sampled_from(["billing", "Billing"]), st.sampled_from(["a", "A"]), ids)
deliveries = st.lists(st.tuples(keys, st.booleans()), max_size=12)


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(deliveries)
def test_each_message_is_new_until_a_transaction_with_it_commits(
    engine: Engine, deliveries: list[tuple[tuple[str, str, str], bool]]
) -> None:
    handled: set[tuple[str, str, str]] = set()
    with engine.connect() as connection, connection.begin() as everything:
        for (consumer, exchange, message_id), commits in deliveries:
            key = consumer, exchange, message_id
            part = connection.begin_nested()
            assert Inbox(consumer, exchange).record(connection, message_id) == (key not in handled)
            if commits:
                part.commit()
                handled.add(key)
            else:
                part.rollback()
        everything.rollback()
