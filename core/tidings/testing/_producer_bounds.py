"""A producer's bounds: of time, and of memory."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from socket import create_server, socket
from typing import TYPE_CHECKING, ClassVar

import pytest

from tidings.errors import BrokerUnavailableError, DeliveryError
from tidings.testing import samples
from tidings.testing._judging import broken, check
from tidings.testing.promises import Producer
from tidings.testing.proxy import TcpProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.testing._kit import Kit
    from tidings.testing.proxy import Link

PROMPT = 5.0
"""Seconds within which a call that waits for nothing returns, on a loaded machine."""

UNANSWERED = 0.2
"""Seconds after which an attempt to connect on this machine counts as unanswered."""

FILLERS = 10


class BoundsPromises:
    """What holds however slow the broker is, and however large the events."""

    has_broker: ClassVar[bool]
    frozen_bytes: ClassVar[int | None]
    largest_body: ClassVar[int]

    def test_large_events_fill_the_window_too(
        self, kit: Kit, link: Link, exchange_name: str
    ) -> None:
        if self.frozen_bytes is None:
            pytest.skip("declared: frozen_bytes = None")
        producer = kit.producer(via=link.address)
        producer.open(exchange_name)
        kit.send_and_flush(producer, exchange_name, samples.notifications(1, 1))
        link.freeze()
        body = b"x" * self.largest_body
        count = self.frozen_bytes // len(body) + 1
        unsent = [samples.notification(2 + each, body) for each in range(count)]
        kit.store(exchange_name, unsent)
        try:
            producer.send(exchange_name, unsent)
        except BrokerUnavailableError:
            pass
        else:
            broken(
                Producer.WINDOW,
                f"The connection carries nothing, and {count} messages of {len(body)} bytes were "
                "taken; memory would grow without end.",
            )

    def test_flush_keeps_to_its_timeout(
        self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # A no-progress time as short as the timeout would end flush() for another reason. The
        # fixtures that make producers have this very `self`.
        monkeypatch.setattr(self, "no_progress_seconds", 2 * PROMPT)
        kit: Kit = request.getfixturevalue("kit")
        link: Link = request.getfixturevalue("link")
        exchange_name: str = request.getfixturevalue("exchange_name")
        producer = kit.producer(via=link.address)
        producer.open(exchange_name)
        sent = samples.notifications(1, 20)
        kit.send_and_flush(producer, exchange_name, sent[:10])
        link.freeze()
        kit.store(exchange_name, sent)
        begun = time.monotonic()
        try:
            producer.send(exchange_name, sent[10:])
            producer.flush(exchange_name, 0.2)
        except BrokerUnavailableError:
            pass
        else:
            broken(Producer.FLUSH, "The connection carries nothing, and flush(0.2) returned.")
        took = time.monotonic() - begun
        check(took < PROMPT, Producer.FLUSH_TIMEOUT, f"send() and flush(0.2) took {took:.1f} s.")

    def test_close_waits_for_nothing_on_a_frozen_connection(
        self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # As above: what close() waits for must not end sooner than is looked for here.
        monkeypatch.setattr(self, "no_progress_seconds", 2 * PROMPT)
        kit: Kit = request.getfixturevalue("kit")
        link: Link = request.getfixturevalue("link")
        exchange_name: str = request.getfixturevalue("exchange_name")
        producer = kit.producer(via=link.address)
        producer.open(exchange_name)
        kit.send_and_flush(producer, exchange_name, samples.notifications(1, 10))
        link.freeze()
        unsent = samples.notifications(11, 10)
        kit.store(exchange_name, unsent)
        producer.send(exchange_name, unsent)
        begun = time.monotonic()
        producer.close(exchange_name)
        took = time.monotonic() - begun
        check(took < PROMPT, Producer.CLOSE, f"close() took {took:.1f} s with 10 events unsent.")

    def test_a_flush_with_a_short_timeout_flushes(self, kit: Kit, exchange_name: str) -> None:
        producer = kit.producer()
        producer.open(exchange_name)
        sent = samples.notifications(1, 20)
        kit.store(exchange_name, sent)
        producer.send(exchange_name, sent)
        deadline = time.monotonic() + kit.patience
        while True:  # on a loaded machine it may take a few
            try:
                producer.flush(exchange_name, 0.5)
            except BrokerUnavailableError as error:
                check(time.monotonic() < deadline, Producer.FLUSH, f"flush(0.5) raised {error!r}.")
                producer.close(exchange_name)
                producer.deliver(exchange_name, sent)
            else:
                break
        accepted = producer.accepted_id(exchange_name)
        check(
            accepted == sent[-1].event_id,
            Producer.FLUSH,
            f"Events 1 to 20 were sent, flush(0.5) returned, and accepted_id() is {accepted}.",
        )
        kit.expect_exactly_once(producer, exchange_name, sent)

    def test_an_idle_producer_notices_that_the_broker_is_away(
        self, kit: Kit, link: Link, exchange_name: str
    ) -> None:
        if not self.has_broker:
            pytest.skip("declared: has_broker = False")
        producer = kit.producer(via=link.address)
        producer.open(exchange_name)
        kit.send_and_flush(producer, exchange_name, samples.notifications(1, 1))
        link.refuse()
        link.cut()
        deadline = time.monotonic() + kit.patience
        error: DeliveryError | None = None
        while error is None and time.monotonic() < deadline:
            try:
                producer.wait(exchange_name, 0.1)
            except DeliveryError as raised:
                error = raised
        check(
            isinstance(error, BrokerUnavailableError),
            Producer.WAIT,
            f"The broker was away for {kit.patience:.0f} s, and wait() ended in {error!r}.",
        )

    def test_open_at_an_address_that_does_not_answer_comes_back(
        self, kit: Kit, link: Link, exchange_name: str
    ) -> None:
        if not isinstance(link, TcpProxy):
            pytest.skip("declared: a link that is not the suite's proxy")
        with unanswered() as address:
            producer = kit.producer(via=address)
            try:
                producer.open(exchange_name)
                producer.flush(exchange_name)  # nothing was sent: one that connects later is well
            except DeliveryError as error:
                check(
                    isinstance(error, BrokerUnavailableError),
                    Producer.DEADLINE,
                    f"Nobody answers the attempt to connect, and open() raised {error!r}.",
                )
            producer.close(exchange_name)


@contextmanager
def unanswered() -> Iterator[tuple[str, int]]:
    """Give an address where an attempt to connect is neither taken nor refused.

    As that of a machine that is gone. A listener's queue is filled for it: Linux then drops what
    comes. A system that refuses instead cannot do this, and the test is skipped.
    """
    with ExitStack() as held:
        listener = held.enter_context(create_server(("127.0.0.1", 0), backlog=0))
        address: tuple[str, int] = listener.getsockname()
        for _ in range(FILLERS):
            filler = held.enter_context(socket())
            filler.settimeout(UNANSWERED)
            try:
                filler.connect(address)
            except TimeoutError:
                break
            except OSError:
                pytest.skip("this system refuses connections that nobody takes")
        else:
            pytest.skip("this system takes connections that nobody takes")
        yield address
