"""What the tables of a configuration file have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterable


class Strict(BaseModel):
    """A table in which every key is known."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, allow_inf_nan=False
    )


class Table(Strict):
    """A table that names a backend; everything else in it is that backend's settings."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)

    backend: str | None = Field(
        default=None,
        description="The plugin; if there is none, the table's own name (for the event store "
        "and the tracker: sqlalchemy).",
    )

    def settings(self) -> dict[str, Any]:
        """Return what is meant for the backend."""
        return dict(self.model_extra or {})

    @override
    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Name the keys only, however it is shown: a value may be a secret."""
        return [("backend", self.backend), ("settings", sorted(self.settings()))]
