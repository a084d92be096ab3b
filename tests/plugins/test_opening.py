"""What a consumer's :class:`Opening` says to misuse."""

from __future__ import annotations

import os

import pytest

from tidings.plugins import Opening, ReceivedMessage


def connect(exchange_name: str) -> str:
    return f"to {exchange_name}"


def test_what_is_open_is_not_opened_again() -> None:
    opening = Opening[str]()
    assert opening.begin("orders", connect) == "to orders"
    with pytest.raises(RuntimeError, match="'orders' is open already; close it first"):
        opening.begin("invoices", connect)
    assert opening.connection == "to orders"


def test_what_is_not_open_is_not_used() -> None:
    opening = Opening[str]()
    with pytest.raises(RuntimeError, match=r"No exchange is open; call open\(\) first"):
        _ = opening.connection
    opening.begin("orders", connect)
    message = ReceivedMessage("1", "t", None, b"", delivery_tag=opening.delivery_tag())
    assert opening.end() == "to orders"
    assert opening.end() is None
    not_open = r"Exchange 'orders' is not open; call open\(\) first"
    with pytest.raises(RuntimeError, match=not_open):
        _ = opening.connection
    with pytest.raises(RuntimeError, match=not_open):
        opening.name_of(message)


def test_nothing_is_open_if_connecting_failed() -> None:
    opening = Opening[str]()

    def fail(exchange_name: str) -> str:
        raise ConnectionError(exchange_name)

    with pytest.raises(ConnectionError):
        opening.begin("orders", fail)
    with pytest.raises(RuntimeError, match="'orders' is not open"):
        _ = opening.connection
    assert opening.begin("orders", connect) == "to orders"


def test_a_message_that_came_before_it_was_opened_again_is_refused() -> None:
    opening = Opening[str]()
    opening.begin("orders", connect)
    message = ReceivedMessage("1", "t", None, b"", delivery_tag=opening.delivery_tag(7))
    assert opening.name_of(message) == 7
    opening.end()
    opening.begin("orders", connect)
    with pytest.raises(RuntimeError, match="Message '1' came before this consumer was opened"):
        opening.name_of(message)


def test_a_fork_does_not_use_what_its_parent_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    opening = Opening[str]()
    opening.begin("orders", connect)
    message = ReceivedMessage("1", "t", None, b"", delivery_tag=opening.delivery_tag())
    pid = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: pid + 1)
    another = "'orders' was opened by another process, of which this one is a fork. Open it in"
    with pytest.raises(RuntimeError, match=another):
        _ = opening.connection
    with pytest.raises(RuntimeError, match=another):
        opening.name_of(message)


def test_a_new_opening_each_time_knows_its_messages_too() -> None:
    """So a consumer does that sees to misuse by itself."""
    opening = Opening()
    message = ReceivedMessage("1", "t", None, b"", delivery_tag=opening.delivery_tag(7))
    assert opening.name_of(message) == 7
    with pytest.raises(RuntimeError, match="Message '1' came before this consumer was opened"):
        Opening().name_of(message)
