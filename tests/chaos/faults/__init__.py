"""What goes wrong: one function a fault, each plays one round on a stage under load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.chaos.faults import connections, databases, processes, refusals, subscribers
from tests.chaos.faults.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Mapping

FAULTS: Final[Mapping[str, Fault]] = {
    fault.name: fault
    for module in (processes, connections, databases, refusals, subscribers)
    for fault in module.FAULTS
}

__all__ = ["FAULTS", "Fault"]
