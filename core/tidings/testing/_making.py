"""The functions that authors supply: each makes what is to be tested."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from tidings.interfaces import (
    EventStore,
    MessageConsumer,
    MessageProducer,
    PublishedMessageTracker,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

Made = TypeVar("Made")
Made_co = TypeVar("Made_co", covariant=True)
Kept = TypeVar("Kept", EventStore, PublishedMessageTracker)


class Make(Protocol[Made_co]):
    """Makes an object on the test's server; ``via`` is where to connect instead."""

    def __call__(self, via: tuple[str, int] | None = ...) -> Made_co:
        """Make it; a producer or a consumer is not open yet."""


MakeProducer: TypeAlias = Make[MessageProducer]
MakeConsumer: TypeAlias = Make[MessageConsumer]
MakeStore: TypeAlias = Make[EventStore]
MakeTracker: TypeAlias = Make[PublishedMessageTracker]


def make_at(make: Make[Made], via: tuple[str, int] | None) -> Made:
    """Make one; ``via`` is handed over only if there is one."""
    return make() if via is None else make(via=via)


@contextmanager
def closed_at_the_end(make: Make[Kept]) -> Iterator[Make[Kept]]:
    """Give ``make``, and close what it made at the end."""
    with ExitStack() as made:

        def make_another(via: tuple[str, int] | None = None) -> Kept:
            another = make_at(make, via)
            made.callback(another.close)
            return another

        yield make_another
