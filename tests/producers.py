"""Producers that are closed when their test ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidings.plugins import ExchangeContext, MessageProducer, OpenExchange

Options = ParamSpec("Options")
AnyProducer = TypeVar("AnyProducer", bound="MessageProducer")


def closing(make: Callable[Options, AnyProducer]) -> Iterator[Callable[Options, AnyProducer]]:
    """Give ``make``, and at the end close every exchange that its producers have open."""
    opened: list[tuple[AnyProducer, str]] = []

    def make_one(*arguments: Options.args, **options: Options.kwargs) -> AnyProducer:
        producer = make(*arguments, **options)
        open_exchange = producer.open_exchange

        def note_and_open(context: ExchangeContext) -> OpenExchange:
            opened.append((producer, context.exchange_name))
            return open_exchange(context)

        patch.setattr(producer, "open_exchange", note_and_open)
        return producer

    with pytest.MonkeyPatch.context() as patch:
        yield make_one
    for producer, exchange_name in opened:
        producer.close(exchange_name)
