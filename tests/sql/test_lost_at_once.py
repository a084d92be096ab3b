"""A connection that is lost just after it was made is told as any other loss is."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import pymysql
import pytest

from tests.sql.databases import event_store
from tidings import StoreUnavailableError

if TYPE_CHECKING:
    from tests.servers.given import DatabaseServer


def test_a_connection_lost_while_it_is_set_to_autocommit_is_our_error(
    mariadb: DatabaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLAlchemy lets the driver's own error through there. No server loses one so precisely."""

    def lose(_connection: object, _value: object) -> NoReturn:
        raise pymysql.err.OperationalError(2013, "Lost connection to MySQL server during query")

    store = event_store(mariadb.new_database())
    store.create()
    monkeypatch.setattr(pymysql.connections.Connection, "autocommit", lose)
    with pytest.raises(StoreUnavailableError, match="Lost connection"):
        store.newest_event_id()
    monkeypatch.undo()
    assert store.newest_event_id() is None
    store.close()
