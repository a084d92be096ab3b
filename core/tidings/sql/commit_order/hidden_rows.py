"""PostgreSQL's row-level security: rows that a reader is not shown look like rolled back ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from tidings.errors import UnsafeStoreError
from tidings.sql.tables import quoted_name

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tidings.sql.event_log import EventLog

# Whoever has a policy for all rows is shown all of them, unless another one is restrictive.
_HIDES_ROWS = text(
    """
    SELECT current_user
    WHERE row_security_active(to_regclass(:log)) AND NOT EXISTS (
        SELECT FROM pg_policy p
        WHERE p.polrelid = to_regclass(:log) AND p.polcmd IN ('r', '*')
          AND EXISTS (SELECT FROM unnest(p.polroles) r WHERE r = 0 OR pg_has_role(r, 'USAGE'))
        HAVING bool_or(p.polpermissive AND pg_get_expr(p.polqual, p.polrelid) = 'true')
           AND bool_and(p.polpermissive OR pg_get_expr(p.polqual, p.polrelid) = 'true')
    )
    """
)


def refuse_hidden_rows(connection: Connection, event_log: EventLog) -> None:
    """Refuse to read as a user from whom policies may hide events: they would be passed."""
    user = connection.execute(
        _HIDES_ROWS, {"log": quoted_name(event_log.table)}
    ).scalar_one_or_none()
    if user is not None:
        raise UnsafeStoreError(
            f"Row-level security may hide rows of the table {event_log.table.name!r} from the user "
            f"{user!r}, and events that the relay does not see would never go out. Let it see all "
            f"of them: CREATE POLICY relay ON {event_log.table.name} FOR SELECT TO {user} USING "
            "(true), or ALTER ROLE … BYPASSRLS."
        )
