"""What our plugins log is shown by `tidings run`, and holds nothing foreign unescaped."""

from __future__ import annotations

import logging
import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

import tidings.builtin
import tidings_activemq
import tidings_opentelemetry
import tidings_prometheus
import tidings_rabbitmq
import tidings_zeromq

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGES = [
    tidings.builtin,
    tidings_activemq,
    tidings_opentelemetry,
    tidings_prometheus,
    tidings_rabbitmq,
    tidings_zeromq,
]


def loggers() -> Iterator[logging.Logger]:
    for package in PACKAGES:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for value in vars(import_module(module.name)).values():
                if isinstance(value, logging.Logger):
                    yield value


@pytest.mark.parametrize("name", sorted({logger.name for logger in loggers()}))
def test_a_plugins_log_is_shown_and_escaped(name: str, caplog: pytest.LogCaptureFixture) -> None:
    assert name.startswith("tidings.")  # others are shown with --debug only
    logging.getLogger(name).warning("%s: %s", "a\nb", ValueError("\x1b]0;x\x07"))

    assert caplog.messages == [r"a\nb: \x1b]0;x\x07"]
