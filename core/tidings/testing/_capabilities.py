"""What a test class declares that its part can do, beside what the part says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tidings.testing._judging import check

if TYPE_CHECKING:
    from tidings.interfaces import Capability

    Capabilities = frozenset[Capability]


def need(declared: Capabilities, capability: Capability) -> None:
    """Skip the test unless the capability is declared."""
    if capability not in declared:
        pytest.skip(f"declared: no {capability.name}")


def expect_the_same(said: Capabilities, declared: Capabilities, promise: str, maker: str) -> None:
    """Fail unless the part says what its test class declares."""
    check(
        said == declared,
        promise,
        f"What {maker} makes says {_names(said)}, the test class {_names(declared)}: one of them "
        "is wrong.",
    )


def _names(capabilities: Capabilities) -> str:
    return ", ".join(sorted(capabilities)) or "nothing"
