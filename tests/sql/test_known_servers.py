"""Servers that speak a protocol that we know, and are another database, or too old."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Engine, text

from tidings.errors import UnsafeStoreError
from tidings.sql.commit_order.known_servers import refuse_old_mysql, refuse_relative

if TYPE_CHECKING:
    from tidings.sql.event_store import SqlAlchemyEventStore

YUGABYTE = "PostgreSQL 15.2-YB-2.25.0.0-b0 on aarch64-unknown-linux-gnu, compiled by clang"


@pytest.mark.parametrize(
    ("version", "name"),
    [
        (YUGABYTE, "YugabyteDB"),
        ("PostgreSQL 12.12 (Greenplum Database 7.1.0 build commit:e7c2b1f)", "Greenplum"),
        ("8.0.11-TiDB-v7.5.0 TiDB Server (Apache License 2.0)", "TiDB"),
        ("5.7.32 SingleStoreDB source distribution (compatible)", "SingleStore"),
    ],
)
def test_a_server_whose_ids_are_in_no_order_is_refused(version: str, name: str) -> None:
    with pytest.raises(UnsafeStoreError, match=f"This server is {name}"):
        refuse_relative(version, "what it speaks")


@pytest.mark.parametrize(
    "version",
    [
        "PostgreSQL 17.2 (Debian 17.2-1.pgdg120+1) on x86_64-pc-linux-gnu, compiled by gcc",
        "PostgreSQL 16.4 on aarch64-unknown-linux-gnu, compiled by aarch64-linux-gnu-gcc",
        "8.4.3 MySQL Community Server - GPL",
        "8.0.39 Source distribution",
        "8.0.40-31 Percona Server (GPL), Release 31",
        "11.8.3-MariaDB-0+deb13u1 from Debian",
    ],
)
def test_the_databases_themselves_are_taken(version: str) -> None:
    refuse_relative(version, "what it is")


def test_a_reader_asks_postgresql_who_it_is(
    postgresql_store: SqlAlchemyEventStore, postgresql_engine: Engine
) -> None:
    postgresql_store.check()
    assert postgresql_store.newest_event_id() is None
    with postgresql_engine.begin() as connection:
        for statement in (
            "CREATE SCHEMA relative",
            (
                "CREATE FUNCTION relative.version() RETURNS text LANGUAGE sql "
                f"AS $$ SELECT '{YUGABYTE}'::text $$"
            ),
            (
                f'ALTER DATABASE "{postgresql_engine.url.database}" '
                "SET search_path = relative, pg_catalog, public"
            ),
        ):
            connection.execute(text(statement))
    postgresql_store.close()
    with pytest.raises(UnsafeStoreError, match="This server is YugabyteDB"):
        postgresql_store.check()
    with pytest.raises(UnsafeStoreError, match="This server is YugabyteDB"):
        postgresql_store.newest_event_id()


@pytest.mark.parametrize("version", ["5.7.44-log", "10.5.29-MariaDB-0+deb11u1", "10.2.1-mariadb"])
def test_a_server_on_which_no_lease_could_be_renewed_is_refused(version: str) -> None:
    with pytest.raises(UnsafeStoreError, match="leases cannot be renewed"):
        refuse_old_mysql(version)


@pytest.mark.parametrize(
    "version", ["8.0.11", "8.4.2", "9.7.0", "10.6.0-MariaDB", "12.0.2-MariaDB"]
)
def test_a_server_that_passes_over_locked_rows_is_taken(version: str) -> None:
    refuse_old_mysql(version)
