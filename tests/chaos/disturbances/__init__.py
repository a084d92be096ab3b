"""What goes wrong: one function a disturbance, each plays one round on a stage under load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.chaos.disturbances import connections, databases, processes, refusals, subscribers
from tests.chaos.disturbances.disturbance import Disturbance

if TYPE_CHECKING:
    from collections.abc import Mapping

DISTURBANCES: Final[Mapping[str, Disturbance]] = {
    disturbance.name: disturbance
    for module in (processes, connections, databases, refusals, subscribers)
    for disturbance in module.DISTURBANCES
}

__all__ = ["DISTURBANCES", "Disturbance"]
