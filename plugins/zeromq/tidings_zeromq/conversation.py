"""One exchange and its subscribers: who has what, who needs what next."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from tidings.plugins import MAX_EVENT_ID
from tidings_zeromq.backlog import Backlog
from tidings_zeromq.session import Session
from tidings_zeromq.window import Window
from tidings_zeromq.wire import NO_ID

if TYPE_CHECKING:
    from tidings.plugins import Position, ProducerContext
    from tidings_zeromq.endpoint import Endpoint
    from tidings_zeromq.settings import ZeroMQSettings
    from tidings_zeromq.wire import Request

_log = logging.getLogger("tidings.zeromq")

FRAME_EVENTS = 128
FRAME_BYTES = 128 * 1024
"""What one frame holds at most, but for one event that is larger."""

_STORE_PAUSE = 0.1  # seconds until a store that had nothing is asked again
_STORE_FAILED_PAUSE = 1.0
_PROBE_SECONDS = 10.0
_KEPT_NAMES = 1000


class Conversation:
    """What is sent to one exchange, and what its subscribers have acknowledged of it.

    ``ahead`` outlives it: which subscribers are not believed, and the id each of them named.

    Used by one thread at a time.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        exchange_name: str,
        settings: ZeroMQSettings,
        context: ProducerContext,
        *,
        position: Position,
        ahead: dict[str, int],
    ) -> None:
        self.accepted_id: int | None = None
        self.window = Window(position.event_id, settings.window, settings.window_bytes)
        self._endpoint = endpoint
        self._exchange_name = exchange_name
        self._settings = settings
        self._backlog = Backlog(exchange_name, context)
        self._start_id = position.event_id
        self._everywhere = NO_ID  # what all required subscribers have acknowledged
        self._probed_at = time.monotonic()
        self._sessions: dict[bytes, Session] = {}
        self._acknowledged: dict[str, int] = {}
        self._advanced_at: dict[str, float] = {}
        self._ahead = ahead

    def send(self, event_id: int, event: bytes) -> None:
        """Take an event into the window; the next :meth:`serve` sends it."""
        self.window.append(event_id, event)
        if event_id <= self._everywhere:
            self._accept()

    def serve(self) -> float:
        """Hear what the subscribers say, and send them what they lack.

        One step for each; does not wait. Returns in how many seconds there is more to do even if
        nothing arrives.
        """
        for connection, request in self._endpoint.requests(self._exchange_name).items():
            self._hear(connection, request)
        now = time.monotonic()
        pause = _PROBE_SECONDS
        probe = now - self._probed_at >= _PROBE_SECONDS
        if probe:
            self._probed_at = now
        for connection, session in list(self._sessions.items()):
            if session.room and session.sent_id < self.window.newest_id:
                pause = min(pause, self._send_what_is_lacking(session, now))
            if probe:
                session.begin()
            if session.gone:
                del self._sessions[connection]
        return pause

    def behind(self) -> dict[str, float]:
        """Return the required subscribers that keep an event from being accepted.

        With each, when it last acknowledged something new, by the monotonic clock (0: never).
        """
        first = self.window.first_unaccepted_id
        return {
            name: self._advanced_at.get(name, 0.0)
            for name in self._settings.subscribers
            if self._acknowledged.get(name, NO_ID) < first
        }

    def describe(self, name: str) -> str:
        """Say, for a person, how a required subscriber stands and what to do about it."""
        address = self._settings.bind
        if name in self._ahead:
            return (
                f"it says that it has event {self._ahead[name]}, which the event store did not "
                "hold then: was the database restored, or is it another one? Start the subscriber "
                "anew from a lower id, that of the last event that both have"
            )
        if all(session.name != name for session in self._sessions.values()):
            return (
                f"it is not connected to {address}: start it, or take it out of `subscribers`"
                + self._describe_refused()
            )
        known = self._acknowledged.get(name, NO_ID)
        done = f"it stands at event {known}" if known > NO_ID else "it has acknowledged none"
        return f"it is connected to {address}, and {done}: see what keeps it"

    def _describe_refused(self) -> str:
        if not self._endpoint.refused:
            return ""
        return (
            f". {self._endpoint.refused} CURVE key(s) that are not among curve_clients were "
            "refused: see the log"
        )

    def _hear(self, connection: bytes, request: Request) -> None:
        session = self._sessions.get(connection)
        if session is not None and session.nonce == request.nonce:
            if request.last_id <= session.sent_id:
                session.received(request.last_id)
                self._acknowledge(request.name, request.acknowledged_id)
            return
        if self._is_ahead_of_the_store(request):
            self._sessions.pop(connection, None)  # it takes nothing of that stream any more
            return
        self._acknowledge(request.name, request.acknowledged_id)
        session = self._sessions[connection] = Session(
            self._endpoint,
            connection,
            request.name,
            request.nonce,
            self._start_of(request),
            capacity=self._settings.window,
            capacity_bytes=self._settings.window_bytes,
        )
        session.begin()

    def _start_of(self, request: Request) -> int:
        if request.last_id != NO_ID:
            return request.last_id
        accepted = self._start_id if self.accepted_id is None else self.accepted_id
        if request.name in self._settings.subscribers:
            return max(self._start_id, self._acknowledged.get(request.name, NO_ID))
        return self._acknowledged.get(request.name, accepted)

    def _acknowledge(self, name: str, event_id: int) -> None:
        required = name in self._settings.subscribers
        if event_id <= self._acknowledged.get(name, NO_ID):
            return
        if not required and len(self._acknowledged) > _KEPT_NAMES:
            return
        self._acknowledged[name] = event_id
        self._advanced_at[name] = time.monotonic()
        if not required:
            return
        self._everywhere = min(
            self._acknowledged.get(each, NO_ID) for each in self._settings.subscribers
        )
        self._accept()

    def _accept(self) -> None:
        newly = self.window.accept(self._everywhere)
        if newly is not None:
            self.accepted_id = newly

    def _is_ahead_of_the_store(self, request: Request) -> bool:
        # Once ahead, ahead for good: the store grows past that id, but with other events.
        if request.last_id >= self._ahead.get(request.name, MAX_EVENT_ID + 1):
            return True
        # After a crash of the relay a subscriber may well be ahead of the tracker, and so of the
        # window; of the event store it never is, unless that is not the one it has read from.
        if request.last_id > self.window.newest_id:
            ahead = self._backlog.is_behind(request.last_id)
            if ahead:
                self._note_ahead(request)
            if ahead is not False:
                return True
        self._ahead.pop(request.name, None)
        return False

    def _note_ahead(self, request: Request) -> None:
        if request.name not in self._settings.subscribers and len(self._ahead) > _KEPT_NAMES:
            return
        self._ahead[request.name] = request.last_id
        _log.warning(
            "Subscriber %r of exchange %r is sent nothing: %s.",
            request.name,
            self._exchange_name,
            self.describe(request.name),
        )

    def _send_what_is_lacking(self, session: Session, now: float) -> float:
        """Send one step's worth; return in how many seconds there may be more to send."""
        if session.sent_id < self.window.floor:
            return self._send_from_store(session, now)
        self._send_from_window(session)
        return _PROBE_SECONDS

    def _send_from_window(self, session: Session) -> None:
        while session.room and session.sent_id < self.window.newest_id:
            count = min(session.room, FRAME_EVENTS)
            if not session.push(*self.window.after(session.sent_id, count, FRAME_BYTES)):
                return

    def _send_from_store(self, session: Session, now: float) -> float:
        if now < session.read_store_at:
            return session.read_store_at - now
        found = self._backlog.after(session.sent_id, min(session.room, session.batch))
        if not found:
            # Nothing *now*: an id below may still be settled. Never take it for "nothing there".
            pause = _STORE_FAILED_PAUSE if found is None else _STORE_PAUSE
            session.read_store_at = now + pause
            return pause
        # What is newer than the floor stands in the window, and is sent from there.
        older = [each for each in found if each[0] <= self.window.floor]
        if not older:
            self._send_from_window(session)
            return _PROBE_SECONDS
        events = [event for _, event in older]
        session.push(events, older[-1][0])
        affordable = FRAME_BYTES * len(events) // (sum(map(len, events)) + 1)
        session.batch = max(1, min(FRAME_EVENTS, session.batch * 4, affordable))
        return 0.0
