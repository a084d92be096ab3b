"""One connection of RabbitMQ's stream protocol, used from one thread, without asyncio.

The frames are rstream's. Its connection is not used: it keeps no deadlines, and swallows most of
what goes wrong.
"""

from __future__ import annotations

import re
import struct
import time
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from rstream import schema
from rstream.encoding import decode_frame, encode_frame
from typing_extensions import override

from tidings.plugins import BrokerUnavailableError, DeliveryError
from tidings_rabbitmq.broker_connection import BrokerConnection
from tidings_rabbitmq.candidates import connect_in_turn
from tidings_rabbitmq.diagnosis import Diagnosis, diagnose_socket, did_not_answer
from tidings_rabbitmq.silence import longest_silence
from tidings_rabbitmq.stream.failures import diagnose_code, lost
from tidings_rabbitmq.stream.socket_stream import SocketStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings_rabbitmq.address import Address
    from tidings_rabbitmq.stream.settings import RabbitMQStreamSettings

Answer = TypeVar("Answer", bound=schema.Frame)

OK = 1
FRAME_MAX = 1024 * 1024
"""RabbitMQ's usual limit: ours if the broker names none."""

CLOSE_SECONDS = 1.0
_LENGTH = struct.Struct(">L")
_ASKED, _ANSWERED = b"\x00\x19", b"\x80\x19"
"""RabbitMQ 3.10 answers a question for partitions with the question's key."""
_VERSION = re.compile(r"\d+")


class StreamConnection(BrokerConnection):
    """A connection over the stream protocol.

    ``on_frame`` is called with every frame that answers no request.
    """

    def __init__(
        self,
        settings: RabbitMQStreamSettings,
        exchange_name: str,
        on_frame: Callable[[schema.Frame], None],
    ) -> None:
        super().__init__(settings, exchange_name)
        self.frame_max = FRAME_MAX
        self.version: tuple[int, ...] = ()
        """The broker's, as far as its numbers go; nothing if it doesn't say."""
        self._settings = settings
        self._on_frame = on_frame
        self._stream: SocketStream | None = None
        self._buffer = bytearray()
        self._correlation_ids = count(1)
        self._answers: dict[int, schema.Frame] = {}
        self._tune: schema.Tune | None = None
        self._heartbeat = float(settings.heartbeat)
        self._patience = settings.connect_timeout
        self._heard = self._said = 0.0

    def open(self) -> None:
        """Connect to the first address that will do, log in, and open the virtual host."""
        connect_in_turn(
            self._settings.addresses,
            self.exchange_name,
            self._settings.connect_timeout,
            time.sleep,
            self._connect,
        )

    def _connect(self, address: Address, seconds: float) -> None:
        self.address = address
        self.failure = self._tune = None
        self._buffer.clear()
        self._patience = seconds
        try:
            self._log_in(seconds)
        except DeliveryError:
            self._abort()
            raise
        self._patience = self._settings.connect_timeout

    def _reach(self, seconds: float) -> None:
        context = self._ssl_context(self._settings)
        try:
            self._stream = SocketStream(self.address, context, seconds)
        except OSError as error:
            self.fail(diagnose_socket(error))
            self.check()
        self._heard = self._said = time.monotonic()

    def request(self, frame: schema.Frame, kind: type[Answer], doing: str) -> Answer:
        """Send a request and return the broker's answer; raise if it is not "OK"."""
        answer = self.ask(frame, kind, doing)
        code = getattr(answer, "response_code", OK)
        if code != OK:
            self.fail(diagnose_code(code, doing))
            self.check()
        return answer

    def ask(self, frame: schema.Frame, kind: type[Answer], doing: str) -> Answer:
        """Send a request and return the broker's answer, whatever it is."""
        self.send(frame)
        number = frame.corr_id or 0
        self._wait(lambda: number in self._answers, doing)
        answer = self._answers.pop(number)
        if not isinstance(answer, kind):
            self.fail(Diagnosis(BrokerUnavailableError, f"answered {doing} oddly", "See its log."))
            self.check()
        return answer  # type: ignore[return-value] # check() has raised otherwise

    def next_id(self) -> int:
        """Return a number for the next request."""
        return next(self._correlation_ids)

    def send(self, frame: schema.Frame) -> None:
        """Send a frame."""
        self.send_bytes(encode_frame(frame))

    def send_bytes(self, data: bytes) -> None:
        """Queue encoded frames; the socket takes what it can at once."""
        self.check()
        self._said = time.monotonic()
        try:
            self._open_stream().write(data)
        except OSError as error:
            self.fail(lost(error))
            self.check()

    @property
    @override
    def unsent(self) -> int:
        return 0 if self._stream is None else self._stream.unsent

    @property
    @override
    def longest_silence(self) -> float:
        return longest_silence(self._heartbeat)

    @property
    def descriptor(self) -> int:
        """The socket's, to be waited for beside others."""
        return self._open_stream().descriptor

    @override
    def step(self, seconds: float) -> None:
        self.check()
        self._beat()
        try:
            data = self._open_stream().read(min(seconds, self._heartbeat / 2))
        except OSError as error:
            self.fail(lost(error))
            self.check()
        if data:
            self._heard = time.monotonic()
            self._take(data)
        self.check()

    def fail(self, diagnosis: Diagnosis) -> None:
        """Keep the first thing that went wrong."""
        if self.failure is None:
            self.failure = diagnosis.error(self.address, self.exchange_name)

    @override
    def fail_silent(self, doing: str, seconds: float) -> None:
        advice = "Check that it is not frozen or overloaded, its alarms, and the network between."
        what = f"did not answer within {seconds:g} s ({doing})"
        self.fail(Diagnosis(BrokerUnavailableError, what, advice))
        self.check()

    @override
    def close(self) -> None:
        if self._stream is None:
            return
        if self.is_foreign:
            self._abort()
            return
        with suppress(DeliveryError):
            frame = schema.Close(self.next_id(), code=OK, reason="OK")
            self.send(frame)
            self._wait(lambda: frame.correlation_id in self._answers, "closing", CLOSE_SECONDS)
        self._abort()

    def _abort(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _log_in(self, seconds: float) -> None:
        self._reach(seconds)
        name = schema.Property("connection_name", f"tidings {self.exchange_name}")
        greeted = self.request(
            schema.PeerProperties(self.next_id(), [schema.Property("product", "tidings"), name]),
            schema.PeerPropertiesResponse,
            "the greeting",
        )
        said = {each.key: each.value for each in greeted.properties}
        self.version = tuple(map(int, _VERSION.findall(said.get("version", ""))))
        self.request(
            schema.SaslHandshake(self.next_id()), schema.SaslHandshakeResponse, "the handshake"
        )
        password = self.address.password.get_secret_value()
        login = b"\0".join((b"", self.address.user.encode(), password.encode()))
        self.request(
            schema.SaslAuthenticate(self.next_id(), "PLAIN", login),
            schema.SaslAuthenticateResponse,
            "the login",
        )
        self._wait(lambda: self._tune is not None, "tuning")
        self._agree_on_limits()
        self.request(
            schema.Open(self.next_id(), self.address.virtual_host), schema.OpenResponse, "opening"
        )

    def _agree_on_limits(self) -> None:
        if self._tune is None:
            raise RuntimeError("tuning comes after the broker's word")
        # 0 stands for "no limit" and "no heartbeat".
        self.frame_max = self._tune.frame_max or FRAME_MAX
        theirs = self._tune.heartbeat or self._settings.heartbeat
        self._heartbeat = min(self._settings.heartbeat, theirs)
        self.send(schema.Tune(self.frame_max, int(self._heartbeat)))

    def _wait(self, done: Callable[[], bool], doing: str, seconds: float | None = None) -> None:
        seconds = seconds or self._patience
        deadline = time.monotonic() + seconds
        while not done():
            self.step(deadline - time.monotonic())
            if not done() and time.monotonic() >= deadline:
                self.fail_silent(doing, seconds)

    def _beat(self) -> None:
        now = time.monotonic()
        if now - self._heard > 2 * self._heartbeat:
            self.fail(did_not_answer())
            self.check()
        if now - self._said > self._heartbeat / 2 and not self.unsent:
            self.send(schema.Heartbeat())

    def _take(self, data: bytes) -> None:
        buffer, start = self._buffer, 0
        buffer += data
        while len(buffer) - start >= _LENGTH.size:
            end = start + _LENGTH.size + _LENGTH.unpack_from(buffer, start)[0]
            if len(buffer) < end:
                break
            self._dispatch(self._decoded(bytes(buffer[start + _LENGTH.size : end])))
            start = end
        del buffer[:start]

    def _decoded(self, data: bytes) -> schema.Frame:
        try:
            return decode_frame(_ANSWERED + data[2:] if data[:2] == _ASKED else data)
        except (ValueError, KeyError) as error:
            cause = error.__cause__ or error
            what = f"sent something that cannot be read ({cause!r})"
            self.fail(Diagnosis(BrokerUnavailableError, what, "Check the port in url."))
            raise self.failure from error  # type: ignore[misc] # is set by fail()

    def _dispatch(self, frame: schema.Frame) -> None:
        if isinstance(frame, schema.Tune):
            self._tune = frame
        elif isinstance(frame, schema.Close):
            self.fail(
                Diagnosis(
                    BrokerUnavailableError,
                    f"closed the connection: {frame.reason} (code {frame.code})",
                    "Check that it runs, and its log.",
                )
            )
        elif frame.corr_id is not None:
            self._answers[frame.corr_id] = frame
        elif not isinstance(frame, schema.Heartbeat):
            self._on_frame(frame)

    def _open_stream(self) -> SocketStream:
        if self._stream is None:
            raise RuntimeError("the connection is not open")
        return self._stream
