"""One exchange's events as its subscriber has them: what came, and what is acknowledged of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tidings.plugins import BrokerRefusedError, escaping_logger
from tidings_zeromq.event_wire import decode_event
from tidings_zeromq.sequence import Sequence, Verdict
from tidings_zeromq.wire import FIRST_EVENT, NO_ID, Request, WireError, decode_head

if TYPE_CHECKING:
    from pydantic import SecretStr

    from tidings.plugins import ReceivedMessage
    from tidings_zeromq.wire import Head

log = escaping_logger("tidings.zeromq")


class Party(NamedTuple):
    """Who reads what from where."""

    connect: str
    exchange_name: str
    name: str
    secret_key: SecretStr | None
    relay_public_key: str | None
    heartbeat: float


class ReceivedFeed:
    """Makes events of the relay's frames, and says how far it is. Has no connection, no clock."""

    def __init__(self, party: Party, last_id: int | None, store: str, selection: str = "") -> None:
        self.store = store
        """The identity of the event store that the ids are of; empty while it isn't known."""
        self.gone: range | None = None
        """The ids that were asked for and deleted before."""
        self.refusal = ""
        """Why the relay begins no feed, as it has said last."""
        self._party = party
        self._selection = selection
        self._newest_taken = NO_ID
        self._acknowledged = NO_ID if last_id is None else last_id
        self._sequence = Sequence(last_id)
        self._frame = b""
        self._place = 0

    @property
    def last_id(self) -> int | None:
        """The newest event received, or left out because it was not asked for."""
        return self._sequence.last_id

    @property
    def progress(self) -> tuple[int, int]:
        """Up to which id all that is asked for is here, and up to which it is acknowledged."""
        return (NO_ID if self.last_id is None else self.last_id, self._acknowledged)

    @property
    def is_selecting(self) -> bool:
        """Whether it is not every event that is asked for."""
        return bool(self._selection)

    def begin(self) -> None:
        """Begin behind the last event acknowledged; what came after it comes again."""
        self._frame = b""
        self.gone = None
        self._newest_taken = self._acknowledged
        self._sequence = Sequence(None if self._acknowledged == NO_ID else self._acknowledged)

    def renew(self) -> None:
        """Let the next request be for a new feed: frames of the one before are dropped."""
        self._sequence.renew()

    def request(self) -> Request:
        """Return what the relay is to hear."""
        nonce, party = self._sequence.nonce, self._party
        return Request(
            nonce,
            *self.progress,
            party.name,
            party.exchange_name,
            self.store,
            self._selection,
        )

    def acknowledge(self, event_id: int) -> None:
        """Take note that the effects up to that event are safe."""
        if self.last_id is None or event_id > self.last_id:
            raise ValueError(f"Event {event_id} was not received here.")
        # Nothing that was asked for lies between the last event and what is left out after it.
        done = self.last_id if event_id >= self._newest_taken else event_id
        self._acknowledged = max(self._acknowledged, done)

    def next_event(self) -> ReceivedMessage | None:
        """Return the next event of the frame in hand that is not here yet."""
        while self._place < len(self._frame):
            try:
                message, self._place = decode_event(self._frame, self._place)
            except WireError:
                break
            if self._sequence.take(message.delivery_tag):
                if self.is_selecting and self._acknowledged >= self._newest_taken:
                    # Nothing that was asked for comes between the two.
                    self._acknowledged = message.delivery_tag - 1
                self._newest_taken = message.delivery_tag
                return message
        self._frame = b""
        return None

    def take(self, frame: bytes) -> Verdict | None:
        """Take a frame in hand, or what it says; ``None`` if it is nobody's.

        Raises :class:`~tidings.errors.BrokerRefusedError` if the relay's ids are another store's.
        """
        try:
            head = decode_head(frame)
        except WireError:
            return None
        verdict = self._sequence.judge(head)
        if verdict is Verdict.TAKE:
            self._frame, self._place = frame, FIRST_EVENT
        elif verdict is Verdict.BEGIN:
            self.refusal = ""
            self._expect_same_store(head.store)
            self._sequence.begin(head)
        elif verdict is Verdict.OMISSION:
            self._leave_out(head)
        elif verdict is Verdict.REFUSAL:
            self._note_refusal(head)
        elif verdict is Verdict.GAP:
            self._note_gap(head.previous_id)
        return verdict

    def _leave_out(self, head: Head) -> None:
        omitted_id = head.omitted_id
        if omitted_id is None or not self._sequence.take(omitted_id):
            return
        if self._acknowledged >= self._newest_taken:
            self._acknowledged = omitted_id

    def _note_refusal(self, head: Head) -> None:
        self.refusal = head.refusal
        if head.previous_id:
            party = self._party
            raise BrokerRefusedError(
                f"The relay at {party.connect} refuses subscriber {party.name!r} of exchange "
                f"{party.exchange_name!r}: {head.refusal}.",
                exchange_name=party.exchange_name,
            )

    def _expect_same_store(self, store: str) -> None:
        if store and self.store and store != self.store:
            raise BrokerRefusedError(
                f"Exchange {self._party.exchange_name!r}: the relay at {self._party.connect} sends "
                f"the events of another event store than before; event {self.last_id}, the newest "
                "here, is not one of them. Start the subscriber anew, with last_id = 0 or that of "
                "the last event that both stores have, and no store.",
                exchange_name=self._party.exchange_name,
            )
        self.store = store or self.store

    def _note_gap(self, oldest_id: int) -> None:
        gone = range(0 if self.last_id is None else self.last_id + 1, oldest_id)
        if gone and gone != self.gone:
            self.gone = gone
            log.warning(
                "Subscriber %r of exchange %r lacks events %d to %d: they are no longer in the "
                "relay's event store. What follows comes.",
                self._party.name,
                self._party.exchange_name,
                gone.start,
                gone.stop - 1,
            )
