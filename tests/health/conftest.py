from __future__ import annotations

import pytest

from tests.relay.parts import Parts


@pytest.fixture
def parts() -> Parts:
    return Parts()
