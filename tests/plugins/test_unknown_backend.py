"""A name that no backend has: what is said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tidings import UnknownBackendError
from tidings.plugins.kinds import PRODUCER, SERIALIZER

if TYPE_CHECKING:
    from tests.plugins.conftest import Site
    from tidings.plugins.registry import PluginRegistry


def known(error: UnknownBackendError) -> set[str]:
    """Return the names that the sentence says are known."""
    return set(str(error).rstrip(".").partition("Known are: ")[2].split(", "))


def test_an_unknown_backend_gets_a_hint(site: Site, registry: PluginRegistry) -> None:
    site.install()

    with pytest.raises(
        UnknownBackendError, match=r"no producer 'carier-pigeon'. Did you mean 'carr"
    ):
        registry.spec(PRODUCER, "carier-pigeon")


def test_the_backends_that_are_known_are_of_the_kind_that_was_asked_for(
    site: Site, registry: PluginRegistry
) -> None:
    site.install()
    site.install("1 / 0", backend="broken", distribution="broken-bird", version="0.1")

    with pytest.raises(UnknownBackendError) as producer:
        registry.spec(PRODUCER, "x")
    with pytest.raises(UnknownBackendError) as serializer:
        registry.spec(SERIALIZER, "x")

    assert known(producer.value) >= {"broken", "carrier-pigeon", "jsonlines", "memory", "zeromq"}
    assert not known(producer.value) & {"json", "prometheus", "opentelemetry", "sqlalchemy"}
    assert known(serializer.value) == {"broken", "cloudevents", "json"}
