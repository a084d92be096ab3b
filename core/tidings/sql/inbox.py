"""What consumers have handled, recorded in their own transactions."""

from __future__ import annotations

import re
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, bindparam, delete, select
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateIndex, CreateTable
from typing_extensions import override

from tidings.errors import StoreNotReadyError
from tidings.sql.callers_transaction import callers_connection
from tidings.sql.failures import is_missing_table
from tidings.sql.inbox_table import MAX_MESSAGE_ID, MAX_NAME, inbox, inbox_metadata
from tidings.sql.schema import alone
from tidings.sql.types import MYSQL, in_base64

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from sqlalchemy import BindParameter
    from sqlalchemy.orm import Session, scoped_session
    from sqlalchemy.schema import ExecutableDDLElement
    from sqlalchemy.sql.dml import Insert

_NO_TEXT = re.compile("[\0\ud800-\udfff]")  # what PostgreSQL cannot hold, and UTF-8

_VALUES: dict[str, BindParameter[Any]] = {
    name: bindparam(name) for name in ("consumer", "exchange_name", "message_id", "handled_on")
}
_INSERTS: dict[str, Insert] = {
    "postgresql": postgresql.insert(inbox).values(_VALUES).on_conflict_do_nothing().inline(),
    "sqlite": sqlite.insert(inbox).values(_VALUES).on_conflict_do_nothing().inline(),
} | dict.fromkeys(
    MYSQL,
    # IGNORE takes a question mark for what the connection cannot hold; two names could be one.
    mysql.insert(in_base64(inbox)).values(_VALUES).prefix_with("IGNORE").inline(),
)

# Without it, SQLAlchemy keeps the count of an INSERT only if its cursor happens to.
_COUNTED: dict[str, Any] = {"preserve_rowcount": True}


class Inbox:
    """Remembers which messages of an exchange a consumer has handled, so that each counts once.

    ::

        inbox = Inbox("billing", "my-bc-app")

        with Session(engine) as session, session.begin():
            if inbox.record(session, message_id):
                ...                                  # the effect, in the same session
        # now acknowledge the message to the broker, whatever `record` said

    What :meth:`record` notes is part of the caller's transaction, as the effect is: both are
    committed, or neither. A broker may then deliver a message as often as it likes.

    ``consumer`` names who handles. Two consumers that have effects of their own take two names; the
    processes of one consumer share one. ``exchange_name`` is where the message ids are unique.

    **Threads.** Every method may be called from any thread, each with its own session.

    **Databases.** SQLite, PostgreSQL, MySQL and MariaDB.
    """

    def __init__(self, consumer: str, exchange_name: str) -> None:
        """Name the consumer and the exchange; raises ``ValueError`` for names too long or empty."""
        self.consumer = _checked_name("consumer", consumer)
        self.exchange_name = _checked_name("exchange_name", exchange_name)

    @override
    def __repr__(self) -> str:
        return f"Inbox({self.consumer!r}, {self.exchange_name!r})"

    def record(
        self, session: Session | scoped_session[Session] | Connection, message_id: str
    ) -> bool:
        """Note in the caller's transaction that the message is handled; tell whether it is new.

        ``True`` for one consumer's transaction only, and ``False`` for every other one. If two
        handle the same message at once, the second waits for the first. If the first is rolled
        back, the message is new to the second. Call it before the effect, best as the transaction's
        first statement. With an ``AsyncSession``, say ``await session.run_sync(inbox.record,
        message_id)``.

        Like any statement it may fail if transactions get in each other's way. That is a deadlock,
        a serialization failure, MariaDB's 1020 if the transaction had read something before. Then
        roll back, and let the message come again.

        Raises ``ValueError`` for an id that is empty or has more than 255 characters. Raises
        :class:`~tidings.errors.UnsafeStoreError` if a rollback would not forget it (``AUTOCOMMIT``;
        a savepoint on SQLite as SQLAlchemy opens it by itself). Raises
        :class:`~tidings.errors.StoreNotReadyError` if the table is missing.
        """
        _check_message_id(message_id)
        connection = callers_connection(session, inbox, "inbox.record, message_id")
        row = {**self._key, "message_id": message_id, "handled_on": datetime.now(UTC)}
        try:
            inserted = connection.execute(_insert_for(connection), row, execution_options=_COUNTED)
        except DBAPIError as error:
            # Everything else is for the application, which knows what to do in its transaction.
            if is_missing_table(error):
                raise StoreNotReadyError(
                    "The consumer's database has no table 'inbox', or an older one: call "
                    "Inbox.create(engine), or run your migration."
                ) from error
            raise
        return inserted.rowcount == 1

    def prune(
        self, bind: Engine | Connection, older_than: timedelta, *, batch_size: int = 1000
    ) -> int:
        """Forget what was handled longer ago than that; return how much it was.

        Choose a time after which no message can come again: longer than the broker keeps any, and
        than you would ever replay. With an engine each ``batch_size`` messages are a transaction of
        their own, so that no consumer waits for long. With a connection the caller commits.
        """
        limit = datetime.now(UTC) - older_than
        pruned = 0
        while True:
            with _transaction(bind) as connection:
                batch = self._prune_batch(connection, limit, batch_size)
            if not batch:
                return pruned
            pruned += batch

    @staticmethod
    def create(bind: Engine | Connection) -> None:
        """Make the table if it isn't there yet. Safe when several do it at once.

        With asyncio: ``await connection.run_sync(Inbox.create)``.
        """
        with _transaction(bind) as connection, alone(connection):
            if connection.dialect.name != "sqlite":
                inbox_metadata.create_all(connection)
                return
            # SQLite has no lock for this; MySQL has no such clause for an index.
            connection.execute(CreateTable(inbox, if_not_exists=True))
            for index in inbox.indexes:
                connection.execute(CreateIndex(index, if_not_exists=True))

    @staticmethod
    def ddl(bind: Engine | Connection) -> str:
        """Return, without asking the database, the statements of :meth:`create` for such a one."""
        statements: list[ExecutableDDLElement] = [CreateTable(inbox)]
        statements += [CreateIndex(index) for index in inbox.indexes]
        texts = [str(statement.compile(dialect=bind.dialect)).strip() for statement in statements]
        return ";\n\n".join(texts).replace("\t", "    ").replace(" \n", "\n") + ";\n"

    @property
    def _key(self) -> dict[str, str]:
        return {"consumer": self.consumer, "exchange_name": self.exchange_name}

    def _prune_batch(self, connection: Connection, limit: datetime, batch_size: int) -> int:
        ours = (
            inbox.c.consumer == self.consumer,
            inbox.c.exchange_name == self.exchange_name,
            inbox.c.handled_on < limit,
        )
        last = connection.execute(
            select(inbox.c.handled_on)
            .where(*ours)
            .order_by(inbox.c.handled_on)
            .offset(batch_size - 1)
            .limit(1)
        ).scalar()
        up_to = () if last is None else (inbox.c.handled_on <= last,)
        return connection.execute(delete(inbox).where(*ours, *up_to)).rowcount


def _checked_name(what: str, name: str) -> str:
    if not isinstance(name, str):
        raise TypeError(f"{what} must be text, not {type(name).__name__}.")
    if not 0 < len(name) <= MAX_NAME or not name.isprintable() or name != name.strip():
        raise ValueError(
            f"{what} must have 1 to {MAX_NAME} printable characters, with no space around them, "
            f"unlike {name[:40]!r}."
        )
    return name


def _check_message_id(message_id: str) -> None:
    if not isinstance(message_id, str):
        raise TypeError(
            f"A message id is text, not {type(message_id).__name__}: give it as it arrived."
        )
    if not message_id:
        raise ValueError("The message has no id: without one it cannot be told from another.")
    if len(message_id) > MAX_MESSAGE_ID or _NO_TEXT.search(message_id):
        raise ValueError(
            f"A message id is valid text of at most {MAX_MESSAGE_ID} characters, with no NUL, "
            f"unlike {message_id[:40]!r}."
        )


def _insert_for(connection: Connection) -> Insert:
    try:
        return _INSERTS[connection.dialect.name]
    except KeyError:
        raise RuntimeError(
            f"An inbox works on SQLite, PostgreSQL, MySQL and MariaDB, not on "
            f"{connection.dialect.name}."
        ) from None


def _transaction(bind: Engine | Connection) -> AbstractContextManager[Connection]:
    if isinstance(bind, Engine):
        return bind.begin()
    if isinstance(bind, Connection):
        return nullcontext(bind)
    raise TypeError(
        f"A SQLAlchemy Engine or Connection is wanted, not {type(bind).__name__}; with asyncio, "
        "use `await connection.run_sync(...)`."
    )
