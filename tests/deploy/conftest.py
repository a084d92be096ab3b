from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import servers
from tests.deploy.watched import Watched
from tests.servers import PostgreSQL, Prometheus, RabbitMQ

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Give servers of its own to a file of tests that kill them; no relay runs yet."""
    folder = tmp_path_factory.mktemp("watched")
    with servers(RabbitMQ) as broker, servers(PostgreSQL) as database, servers(Prometheus) as start:
        watched = Watched(folder, broker(), database(), start)
        yield watched
        watched.engine.dispose()
