"""What a relay may not do to an outbox is found out before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url, text

from tests.sql.databases import application_engine
from tests.sql.test_postgresql_servers import autocommit
from tidings.errors import EventStoreError
from tidings.event import NewEvent
from tidings.sql.outbox import OutboxMessageDispatcher, OutboxSettings, outbox_event_store

if TYPE_CHECKING:
    from sqlalchemy import URL

    from tests.servers.given import DatabaseServer
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


@pytest.mark.parametrize(
    ("then", "rights", "is_refused"),
    [
        ("mark", "SELECT", True),
        ("mark", "SELECT, UPDATE (dispatched_on)", False),
        ("remove", "SELECT, UPDATE", True),
        ("remove", "SELECT, UPDATE, DELETE", False),
    ],
)
def test_so_it_is_on_mariadb_which_tells_nobody_of_rights(
    mariadb: DatabaseServer, then: str, rights: str, is_refused: bool
) -> None:
    url = make_url(mariadb.new_database())
    owner = outbox_event_store(OutboxSettings.model_validate({"url": str_of(url)}))
    owner.create()
    engine = application_engine(str_of(url))
    with engine.begin() as connection:
        us = connection.execute(text("SELECT SUBSTRING_INDEX(USER(), '@', -1)")).scalar_one()
        user = f"'relay'@'{us}'"
        connection.execute(text(f"CREATE USER {user} IDENTIFIED BY 'secret'"))
        connection.execute(text(f"GRANT SELECT ON {url.database}.* TO {user}"))
        connection.execute(text(f"GRANT {rights} ON outbox TO {user}"))
    theirs = str_of(url.set(username="relay", password="secret"))
    relay = outbox_event_store(OutboxSettings.model_validate({"url": theirs, "then": then}))
    try:
        if is_refused:
            with pytest.raises(EventStoreError, match=r"(UPDATE|DELETE) command denied"):
                relay.check()
        else:
            relay.check()
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"DROP USER {user}"))
        for store in (owner, relay):
            store.close()
        engine.dispose()


def str_of(url: URL) -> str:
    return url.render_as_string(hide_password=False)


@pytest.mark.parametrize("then", ["mark", "remove"])
def test_a_relay_waits_for_nobody_to_find_out_whether_it_may_change_an_outbox(
    mariadb: DatabaseServer, then: str
) -> None:
    url = mariadb.new_database()
    store = outbox_event_store(OutboxSettings.model_validate({"url": url, "then": then}))
    store.create()
    engine = application_engine(url)
    with engine.begin() as connection:
        OutboxMessageDispatcher(connection).dispatch(NewEvent("A", {}))
        store.check()
    store.close()
    engine.dispose()
