"""Which characters PostgreSQL takes on a connection, known without asking it.

The server tells every driver, when it connects, in which encoding the database is, and in which
the client's texts are taken to be.
"""

from __future__ import annotations

import codecs
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

from tidings.errors import InvalidEventError
from tidings.sql.callers_transaction import may_connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import Connection, Engine
    from sqlalchemy.engine import Dialect

_EVERYTHING = "UTF8"
_ANY_BYTES = "SQL_ASCII"

# Their tables here and at the server differ in some characters.
_ONLY_THE_SERVER_KNOWS = {"EUC_JP", "EUC_JIS_2004", "EUC_KR"}

_OF_THE_DATABASE = (
    "which the application's database cannot keep: its encoding is {}. Leave it out, or move to a "
    "database in UTF8."
)
_OF_THE_CONNECTION = (
    "which the application's connection cannot carry: its client_encoding is {}. Connect with "
    "client_encoding=utf8."
)


class CharacterSet(NamedTuple):
    """Characters that text has to be of."""

    name: str
    """As PostgreSQL calls it."""
    codec: str
    """As Python does."""
    advice: str
    """What to say of a character that it lacks."""


_last_seen: WeakKeyDictionary[Dialect, tuple[CharacterSet, ...]] = WeakKeyDictionary()


def character_sets(connection: Connection) -> tuple[CharacterSet, ...]:
    """Return the sets of which every text must be that is sent there; none if any text may be sent.

    Asks nobody. A driver that doesn't tell, and a database that isn't PostgreSQL, have none.
    """
    if connection.dialect.name != "postgresql":
        return ()
    return _sets(*_encodings(connection.connection.driver_connection))


def note_character_sets(connection: Connection) -> None:
    """Remember them for the engine's next :func:`refuse_unfit_early`."""
    if connection.dialect.name == "postgresql":
        _last_seen[connection.dialect] = character_sets(connection)


def refuse_unfit_early(
    rows: Sequence[Mapping[str, Any]],
    bind: Callable[[], Engine | Connection],
    connection: Callable[[], Connection],
) -> None:
    """Refuse, before the insert, what the database has no characters for, if that can be known.

    ``bind`` gives what the rows will be written through, ``connection`` the transaction's own.
    That is asked for if none of the engine's has been seen yet, and before a text is refused. An
    engine may lead to several databases. If asyncio forbids to connect, the newest one decides.
    """
    if all(map(_is_plain, rows)) or (dialect := bind().dialect).name != "postgresql":
        return
    known = _last_seen.get(dialect)
    can_ask = may_connect(dialect)
    if known is not None:
        try:
            refuse_unfit(rows, known)
        except InvalidEventError:
            if not can_ask:
                raise
        else:
            return
    if can_ask:
        refuse_unfit(rows, character_sets(connection()))


def refuse_unfit(rows: Sequence[Mapping[str, Any]], sets: Iterable[CharacterSet]) -> None:
    """Raise :class:`~tidings.errors.InvalidEventError` if a row of events is not of the sets."""
    for each in sets:
        for row in rows:
            for field, value in row.items():
                if isinstance(value, str) and (lacking := _lacking(value, each.codec)):
                    raise InvalidEventError(
                        f"The {field} of {row['type_name']!r} holds {lacking!r} "
                        f"(U+{ord(lacking):04X}), {each.advice.format(each.name)}"
                    )


def codec_of(encoding: str | None) -> str | None:
    """Return Python's word for an encoding of PostgreSQL's that has not every character."""
    if encoding in {None, _EVERYTHING, _ANY_BYTES}:
        return None
    try:
        return codecs.lookup(str(encoding).replace("WIN", "cp").replace("KOI8", "koi8_")).name
    except LookupError:
        return None


def _is_plain(row: Mapping[str, Any]) -> bool:
    return all(not isinstance(value, str) or value.isascii() for value in row.values())


def _lacking(text: str, codec: str) -> str | None:
    if text.isascii():
        return None
    try:
        text.encode(codec)
    except UnicodeEncodeError as error:
        return text[error.start]
    return None


def _encodings(driver: Any) -> tuple[str | None, str | None]:
    """Return the encoding of the database, and of the client, as the driver was told."""
    try:
        if hasattr(driver, "info"):  # psycopg, psycopg2
            told = driver.info.parameter_status
            return told("server_encoding"), told("client_encoding")
        if hasattr(driver, "get_settings"):  # asyncpg
            settings = driver.get_settings()
            return settings.server_encoding, settings.client_encoding
    except Exception:  # noqa: BLE001 - the driver's, of a connection that is closed
        return None, None
    return None, None


@cache
def _sets(database: str | None, client: str | None) -> tuple[CharacterSet, ...]:
    if database == _ANY_BYTES:
        # It keeps what comes as it is, and the relay reads UTF-8.
        every = client == _EVERYTHING
        return () if every else (CharacterSet(str(client), "ascii", _OF_THE_CONNECTION),)
    sets = []
    # What the driver encodes by itself, it does by Python's tables.
    if client == database or database not in _ONLY_THE_SERVER_KNOWS:
        sets.append((database, codec_of(database), _OF_THE_DATABASE))
    if client != database:
        sets.append((client, codec_of(client), _OF_THE_CONNECTION))
    return tuple(CharacterSet(str(name), codec, advice) for name, codec, advice in sets if codec)
