"""Closing a store, from whichever thread, leaves no connection open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.sql.databases import event_store, url_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tidings.sql.event_store import SqlAlchemyEventStore


def raw(connection: Connection) -> Any:
    """Return the driver's own connection."""
    return connection.connection.driver_connection


def answers(connection: Any) -> bool:
    """Tell whether a connection of a driver's is still open."""
    try:
        connection.cursor().execute("SELECT 1")
    except Exception:  # noqa: BLE001 - each driver has a word of its own for it
        return False
    return True


def test_a_connection_that_is_lent_at_the_close_is_closed_when_it_comes_back(
    store: SqlAlchemyEventStore,
) -> None:
    """As when a scrape, or a relay's thread, still reads while the program ends."""
    other = event_store(url_of(store))
    with other.transaction() as connection:
        lent = raw(connection)
        other.close()
        assert answers(lent)

    assert not answers(lent)


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_a_store_that_was_closed_lends_the_same_connection_again_and_again(
    store: SqlAlchemyEventStore,
) -> None:
    store.close()
    lent = []
    for _ in range(2):
        with store.transaction() as connection:
            lent.append(raw(connection))

    assert lent[0] is lent[1]
    store.close()
    assert not answers(lent[0])
