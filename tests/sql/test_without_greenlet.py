"""SQLAlchemy's asyncio needs greenlet, which tidings' own extras don't bring: nothing else may."""

from __future__ import annotations

import subprocess
import sys

from tests.sql.databases import event_store

APPLICATION = """
import sys

sys.modules["greenlet"] = None  # as if it were not installed

from sqlalchemy import create_engine, event
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from tidings import Inbox, NewEvent, record, record_from


class Order:
    events = [NewEvent("FromAnAggregate", {"é": 1})]


engine = create_engine(sys.argv[1])
with Session(engine) as session, session.begin():
    record(session, NewEvent("Größe", {"ß": "é"}))
    record_from(session, Order())

with Session(engine) as session:
    event.listen(session, "before_commit", lambda s: record(s, NewEvent("FromAHook", {})))
    record(session, NewEvent("BeforeIt", {}))
    session.commit()

with engine.begin() as connection:
    record(connection, NewEvent("FromCore", {"é": 1}))

scoped = scoped_session(sessionmaker(engine))
record(scoped, NewEvent("Scoped", {"é": 1}))
scoped.commit()

Inbox.create(engine)
with Session(engine) as session, session.begin():
    assert Inbox("é", "orders").record(session, "é")
"""


def test_an_application_without_asyncio_records_everything(database_url: str) -> None:
    store = event_store(database_url)
    store.create()

    done = subprocess.run(
        [sys.executable, "-c", APPLICATION, database_url],
        check=False,
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "")
    recorded = [event.type_name for event in store.all_stored_events_since(0, 100)]
    assert recorded == [
        *("Größe", "FromAnAggregate", "BeforeIt", "FromAHook", "FromCore", "Scoped"),
    ]
    store.close()
