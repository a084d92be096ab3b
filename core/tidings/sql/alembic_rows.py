"""The rows that our tables need, in the migrations that Alembic generates."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from alembic.autogenerate import renderers
from alembic.operations.ops import CreateTableOp, ExecuteSQLOp
from alembic.util import to_list
from sqlalchemy import MetaData, update

from tidings.sql.found_tables import stated_version
from tidings.sql.migration import now_of_this_version
from tidings.sql.plain_tables import metadata
from tidings.sql.schema import as_text, first_rows
from tidings.sql.tables import SCHEMA_VERSION, tidings_schema
from tidings.sql.types import MYSQL

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableSequence

    from alembic.autogenerate.api import AutogenContext
    from alembic.runtime.migration import MigrationContext
    from sqlalchemy.sql.dml import Insert, Update

_DIALECTS = {"postgresql": "postgresql", "sqlite": "sqlite"} | dict.fromkeys(MYSQL, "mysql")


def add_rows(context: MigrationContext, _revision: object, directives: Iterable[Any]) -> None:
    """Let the migrations that Alembic generates write the rows that our tables need.

    Those that a table begins with, and which version the tables are of: an older one becomes this
    one. For Alembic's ``context.configure(..., process_revision_directives=add_rows)``. Such a
    migration runs on every kind of database, whichever it was generated on.
    """
    for script in directives:
        for container in script.upgrade_ops_list:
            _add_first_rows(container.ops)
        older = _older_version(context)
        if older is not None:
            version, schema = older
            script.upgrade_ops_list[-1].ops.append(ChangeRow(now_of_this_version(), schema))
            # First: the table that holds it may be gone afterwards.
            back = update(tidings_schema).values(version=version)
            script.downgrade_ops_list[-1].ops.insert(0, ChangeRow(back, schema))


class ChangeRow(ExecuteSQLOp):
    """A change to such a row, with the SQL for each kind of database."""

    def __init__(self, change: Insert | Update, schema: str | None) -> None:
        """Take the change, and the schema that its table is in."""
        self.texts = {name: _text(change, dialect, schema) for name, dialect in _DIALECTS.items()}
        super().__init__(self.texts["postgresql"])


def _text(change: Insert | Update, dialect: str, schema: str | None) -> str:
    module = import_module(f"sqlalchemy.dialects.{dialect}")
    return as_text([change], module.dialect(), schema).rstrip("\n;")


def _older_version(context: MigrationContext) -> tuple[int, str | None] | None:
    """Return which older version the tables are of, and their schema; ``None`` if of none."""
    schemas = [
        table.schema
        for each in to_list(context.opts.get("target_metadata"))
        for table in each.tables.values()
        if table.name == tidings_schema.name
    ]
    connection = context.bind
    if connection is None or not schemas:
        return None
    table = tidings_schema.to_metadata(MetaData(), schema=schemas[0])
    version = stated_version(connection, table)
    return (version, schemas[0]) if version is not None and version < SCHEMA_VERSION else None


@renderers.dispatch_for(ChangeRow)
def _render(context: AutogenContext, operation: ChangeRow) -> str:
    prefix = context.opts["alembic_module_prefix"] or ""
    texts = operation.texts
    if len(set(texts.values())) == 1:
        return f"{prefix}execute({operation.sqltext!r})"
    lines = "".join(f"    {name!r}: {text!r},\n" for name, text in sorted(texts.items()))
    return f"{prefix}execute({{\n{lines}}}[{prefix}get_context().dialect.name])"


def _add_first_rows(operations: MutableSequence[Any]) -> None:
    for index, operation in reversed(list(enumerate(operations))):
        if isinstance(operation, CreateTableOp):
            ours = metadata.tables.get(operation.table_name)
            rows = first_rows([] if ours is None else [ours])
            operations[index + 1 : index + 1] = [ChangeRow(row, operation.schema) for row in rows]
