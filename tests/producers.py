"""Producers that are closed when their test ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tidings.plugins import MessageProducer

Options = ParamSpec("Options")
AnyProducer = TypeVar("AnyProducer", bound="MessageProducer")


def closing(make: Callable[Options, AnyProducer]) -> Iterator[Callable[Options, AnyProducer]]:
    """Give ``make``, and at the end close every exchange that its producers have open."""
    made: list[AnyProducer] = []

    def make_one(*arguments: Options.args, **options: Options.kwargs) -> AnyProducer:
        made.append(make(*arguments, **options))
        return made[-1]

    yield make_one
    for producer in made:
        for exchange_name in [*producer._exchanges]:
            producer.close(exchange_name)
