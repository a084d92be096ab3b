"""A subscriber's contact with the relay: found, asked, told how far we are, found again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import zmq

from tidings.plugins import BrokerRefusedError, BrokerUnavailableError, escaping_logger
from tidings_zeromq.hosts import ipv6_choices, lookup_failure
from tidings_zeromq.patience import Patience
from tidings_zeromq.sequence import Verdict
from tidings_zeromq.subscriber_socket import SubscriberSocket
from tidings_zeromq.wire import NO_ID, encode_request

if TYPE_CHECKING:
    from tidings.plugins import ReceivedMessage
    from tidings_zeromq.received_feed import Party, ReceivedFeed

log = escaping_logger("tidings.zeromq")

_UNANSWERED = 5
RENEW_SECONDS = 10.0
_MAX_USELESS = 1000  # frames until the caller's timeout is looked at
_REPORT_SECONDS = 0.01
_REPORT_COUNT = 128
_HOLE_SECONDS = 0.05  # a relay that talks nonsense is not asked for more of it at once


class ContactTrouble:
    """What keeps a subscriber from connecting: logged once, while it stays the same."""

    def __init__(self, party: Party) -> None:
        self._party = party
        self._told = ""

    def tell(self, what: str) -> None:
        """Log what it is."""
        if what != self._told:
            self._told = what
            log.warning(
                "Subscriber %r of exchange %r: %s. It goes on trying.",
                self._party.name,
                self._party.exchange_name,
                what,
            )

    def is_over(self) -> None:
        """Let the same be logged when it comes again."""
        self._told = ""


class Contact:
    """Keeps in touch with the relay for one feed, from its opening until it is closed."""

    def __init__(self, party: Party, feed: ReceivedFeed, trouble: ContactTrouble) -> None:
        self._party = party
        self._feed = feed
        self._reported = (NO_ID, NO_ID)
        self._reported_at = 0.0
        self._unreported = 0
        self._patience = Patience()
        self._attempts = 0
        self._waits = False  # for another process of this subscriber
        self._trouble = trouble
        self._connection = self._connect_anew()

    @property
    def is_foreign(self) -> bool:
        """Whether it is another process's, from which this one was forked off."""
        return self._connection.is_foreign

    def take_waiting(self) -> ReceivedMessage | None:
        """Return the next event that has arrived; gives up after much that is of no use."""
        for _ in range(_MAX_USELESS):
            frame = self._connection.receive()
            if frame is None:
                return None
            verdict = self._feed.take(frame)
            if verdict is Verdict.TAKE:
                if message := self._feed.next_event():
                    self._patience.heard(time.monotonic())
                    return message
            elif verdict is Verdict.BEGIN:
                self._patience.answered(time.monotonic())
                if self._waits:
                    self._waits = False
                    self._trouble.is_over()
            elif verdict is Verdict.REFUSAL:
                self._waits = True
                self._patience.answered(time.monotonic())
                self._trouble.tell(self._feed.refusal)
            elif verdict in {Verdict.DROP, Verdict.OMISSION}:
                # Dropped: the answer to the last request comes behind it, on the same connection.
                # To ask once more would only make that one old as well.
                self._patience.heard(time.monotonic())
            elif (
                verdict is Verdict.HOLE
                and time.monotonic() - self._patience.asked_at >= _HOLE_SECONDS
            ):
                self._ask()
        return None

    def look_after(self) -> None:
        """Do what is due while no event waits: ask, report, and hear of refusals."""
        connection = self._connection
        found = connection.look()
        self._check_admitted()
        now = time.monotonic()
        if not connection.established and now - connection.last_alive >= RENEW_SECONDS:
            # libzmq gives up for good on a peer that once spoke another protocol.
            connection.close()
            self._trouble.tell(f"nothing answers at {self._party.connect}")
            self._connection = self._connect_anew()
            return
        if found:
            self._trouble.is_over()
            self._ask()
            self._patience.renew()
        elif connection.established and now >= self._patience.ends_at:
            self._ask()
        elif connection.established and self._feed.progress != self._reported:
            self._report(now)

    def poll(self, seconds: float) -> None:
        """Return when something has arrived or is due, after ``seconds`` at the latest."""
        self._connection.poll(min(seconds, self._due_at() - time.monotonic()))

    def watch(self, poller: zmq.Poller) -> float:
        """Let a poller tell when something arrives; return in how many seconds something is due."""
        self._connection.watch(poller)
        return self._due_at() - time.monotonic()

    def acknowledged(self) -> None:
        """Report one more acknowledgement: soon, together with those around it."""
        self._unreported += 1
        now = time.monotonic()
        if self._unreported >= _REPORT_COUNT or now - self._reported_at >= _REPORT_SECONDS:
            self._report(now)

    def close(self) -> None:
        """Tell the relay the last acknowledgement, and hang up. Never raises."""
        if not self.is_foreign:
            self._connection.look()
            self._report(time.monotonic())
        self._connection.close()

    def _connect_anew(self) -> SubscriberSocket:
        self._attempts += 1
        party = self._party
        ipv6 = False
        try:
            choices = ipv6_choices(party.connect)
            ipv6 = choices[(self._attempts - 1) % len(choices)]
        except OSError as error:
            self._trouble.tell(lookup_failure(party.connect, error))
        try:
            return SubscriberSocket(
                party.connect, party.heartbeat, party.secret_key, party.relay_public_key, ipv6=ipv6
            )
        except zmq.ZMQError as error:  # no descriptor left, say
            raise BrokerUnavailableError(
                f"Subscriber {party.name!r} of exchange {party.exchange_name!r}: no socket for "
                f"{party.connect} can be opened: {error.strerror}.",
                exchange_name=party.exchange_name,
            ) from error

    def _due_at(self) -> float:
        """Return when there is something to do even if nothing arrives."""
        if self._connection.established:
            return self._patience.ends_at
        return self._connection.last_alive + RENEW_SECONDS

    def _ask(self) -> None:
        self._feed.renew()
        now = time.monotonic()
        self._patience.asked(now)
        self._report(now)
        if self._patience.unanswered == _UNANSWERED:
            log.warning(
                "%s is there, but says nothing about exchange %r: does that relay send it%s?",
                self._party.connect,
                self._party.exchange_name,
                ", and is it new enough for routing keys and partitions"
                if self._feed.is_selecting
                else "",
            )

    def _report(self, now: float) -> None:
        self._reported = self._feed.progress
        self._reported_at = now
        self._unreported = 0
        self._connection.send(encode_request(self._feed.request()))

    def _check_admitted(self) -> None:
        party = self._party
        if self._connection.refused:
            raise BrokerRefusedError(
                f"The relay at {party.connect} refuses subscriber {party.name!r}: its CURVE "
                "public key is not among the relay's curve_clients.",
                exchange_name=party.exchange_name,
            )
        if self._connection.failing:
            raise BrokerRefusedError(
                f"What listens at {party.connect} breaks every handshake with subscriber "
                f"{party.name!r}: {self._describe_keys()}.",
                exchange_name=party.exchange_name,
            )

    def _describe_keys(self) -> str:
        if self._party.secret_key is None:
            return "it may want CURVE keys, which this subscriber does not have, or be no relay"
        return "its public key is not the one given here, or it is no relay with CURVE"
