"""Which numbers and times the options take."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.command import Project


def test_a_number_that_nothing_can_hold_is_wrong_use(ten: Project) -> None:
    for arguments in [
        ["prune", "--older-than", "999999w"],
        ["prune", "--older-than", "٣d"],
        ["prune", "--keep", "1" + "0" * 30],
        ["replay", "orders", "--from", str(2**63)],
        ["spread", "--limit", "1" + "0" * 30],
        ["run", "--limit", "-1"],
        ["listen", "--timeout", "nan"],
        ["listen", "--timeout", "inf"],
        ["listen", "--timeout", "1e300"],
        ["listen", "--count", "1" + "0" * 30],
        ["quarantine", "retry", "orders", str(2**63)],
        ["quarantine", "drop", "orders", str(2**63)],
    ]:
        result = ten.run(*arguments)

        assert result.code == 2, result
        assert result.err.startswith("Usage: tidings"), result


def test_a_large_number_that_can_be_held_is_taken(ten: Project) -> None:
    largest = str(2**63 - 1)

    ten.succeed("prune", "--keep", largest)
    ten.succeed("spread", "--limit", largest)
    ten.succeed("prune", "--older-than", "5000w")
    ten.succeed("replay", "orders", "--from", largest)
