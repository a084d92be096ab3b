"""Which of a session's savepoints lies in which."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy.orm import SessionTransaction


def transaction_around(savepoint: SessionTransaction) -> SessionTransaction:
    """Return the savepoint or transaction around one; a flush is neither."""
    around = savepoint
    while around.parent is not None:
        around = around.parent
        if around.nested:
            break
    return around


def is_in(transaction: SessionTransaction, other: SessionTransaction) -> bool:
    """Return whether a transaction is the other one, or lies in it at any depth."""
    inside: SessionTransaction | None = transaction
    while inside is not None and inside is not other:
        inside = inside.parent
    return inside is not None
