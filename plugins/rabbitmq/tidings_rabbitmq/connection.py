"""One AMQP connection with one channel, used like a blocking one."""

from __future__ import annotations

import time
from itertools import chain
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import pika
from pika import exceptions
from typing_extensions import override

from tidings.plugins import BrokerUnavailableError, DeliveryError, escaping_logger
from tidings_rabbitmq.broker_connection import BrokerConnection
from tidings_rabbitmq.candidates import connect_in_turn
from tidings_rabbitmq.failures import explain
from tidings_rabbitmq.silence import longest_silence

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pika.channel import Channel

    from tidings_rabbitmq.address import Address
    from tidings_rabbitmq.loop import Loop, Services
    from tidings_rabbitmq.pipeline import Buffers
    from tidings_rabbitmq.settings import RabbitMQSettings

    NameTheEvent = Callable[[BaseException, DeliveryError], DeliveryError]

log = escaping_logger("tidings.rabbitmq")

CLOSE_SECONDS = 1.0
CONNECT_GRACE = 1.0
"""Seconds past pika's own limit for connecting, after which we don't wait for its word."""


class AmqpConnection(BrokerConnection):
    """A connection over AMQP 0-9-1, which pika carries on a loop that others may share."""

    channel: Channel

    def __init__(
        self,
        loop: Loop,
        settings: RabbitMQSettings,
        exchange_name: str,
        name_the_event: NameTheEvent = lambda _reason, failure: failure,
    ) -> None:
        """Make it; from now on ``loop`` carries it, until it is closed.

        ``name_the_event`` is called when pika reports a failure, to say more of it than we know.
        """
        super().__init__(settings, exchange_name)
        self.reason: BaseException | None = None
        """pika's own error behind ``failure``."""
        self.blocked = False
        """Whether the broker has stopped reading because of an alarm."""
        self.cancels_at_close = False
        """Whether consumers are cancelled before that; `_keep_consumers` says why mostly not."""
        self._loop = loop
        self._settings = settings
        self._name_the_event = name_the_event
        self.has_channel = False
        """Whether there ever was a channel to use."""
        self._gone = True
        self._services: Services
        self._connection: pika.SelectConnection
        self._channels = WeakSet[Any]()
        loop.carry(self)

    def open(self) -> None:
        """Connect to the first address that will do, and open the channel."""
        connect_in_turn(
            self._settings.addresses,
            self.exchange_name,
            self._settings.connect_timeout,
            self._loop.step,
            self._connect,
        )
        self._open_channel()
        self.has_channel = True

    def _connect(self, address: Address, seconds: float) -> None:
        self.address = address
        self.failure = self.reason = None
        self._services = self._loop.services()
        opened: list[Any] = []
        self._connection = pika.SelectConnection(
            self._parameters(seconds),
            on_open_callback=opened.append,
            on_open_error_callback=self._on_connection_lost,
            on_close_callback=self._on_connection_lost,
            custom_ioloop=self._services,
        )
        self._gone = False
        self._connection.add_on_connection_blocked_callback(self._on_blocked)
        self._connection.add_on_connection_unblocked_callback(self._on_unblocked)
        try:
            self.wait_for(opened, "connecting", seconds + CONNECT_GRACE)
        except DeliveryError:
            self._disconnect()
            raise

    def renew_channel(self) -> None:
        """Go on after a call for which the broker has closed the channel."""
        self.failure = self.reason = None
        self._open_channel()

    def _open_channel(self) -> None:
        opened: list[Channel] = []
        self._connection.channel(on_open_callback=opened.append)
        self.wait_for(opened, "opening a channel")
        self.channel = opened[0]
        self._channels.add(self.channel)
        self.channel.add_on_close_callback(self._on_channel_closed)

    def open_another(
        self,
        opened: Callable[[Channel], None],
        closed: Callable[[Channel, BaseException], None],
    ) -> None:
        """Open one channel more, which is looked after by whoever asks: by these callbacks."""

        def set_up(channel: Channel) -> None:
            self._channels.add(channel)
            channel.add_on_close_callback(closed)
            opened(channel)

        self.start(self._connection.channel, on_open_callback=set_up)

    @staticmethod
    def close_channel(channel: Channel) -> None:
        """Close one of :meth:`open_another`; what it holds goes back to its place in the queue.

        That, and handing the queue over to its next consumer, is one step for the broker.
        """
        _keep_consumers(channel)
        channel.close()

    def call(self, method: Callable[..., Any], **arguments: Any) -> Any:
        """Call one of the channel's methods and return the broker's answer."""
        answers: list[Any] = []
        self.start(method, callback=answers.append, **arguments)
        doing = getattr(method, "__name__", "a call").replace("_", ".")
        self.wait_for(answers, doing)
        return answers[0]

    def start(self, method: Callable[..., Any], *positional: Any, **arguments: Any) -> None:
        """Call one of the channel's methods; the answer comes to the callback given to it."""
        self.check()
        try:
            method(*positional, **arguments)
        except exceptions.AMQPError as error:
            self.fail(error)
            self.check()

    def wait_for(self, answers: list[Any], doing: str, seconds: float | None = None) -> None:
        """Return when a callback has put something into ``answers``; raise what went wrong."""
        seconds = seconds or self._settings.connect_timeout
        deadline = time.monotonic() + seconds
        while not answers:
            self.step(deadline - time.monotonic())
            if not answers and time.monotonic() >= deadline:
                self.fail_silent(doing, seconds)

    def call_later(self, seconds: float, act: Callable[[], None]) -> None:
        """Call ``act`` once, after so long, while somebody lets the connection work.

        Not at all if the connection is closed, or has failed, by then.
        """

        def still_useful() -> None:
            if not self._gone and self.failure is None:
                act()

        self._services.call_later(seconds, still_useful)

    @property
    def frame_max(self) -> int:
        """The size of frames that was agreed on."""
        return int(self._connection.params.frame_max)

    @property
    @override
    def longest_silence(self) -> float:
        return longest_silence(self._connection.params.heartbeat)

    @property
    @override
    def unsent(self) -> int:
        stream = self._services.stream
        return 0 if self._gone or stream is None else int(stream.get_write_buffer_size())

    def write(self, messages: Sequence[Buffers]) -> None:
        """Queue encoded frames of the channel, behind whatever was sent before."""
        self.check()
        frames = b"".join(chain.from_iterable(messages))
        # The stream cuts what a socket did not take off the front: of bytes it would be a copy.
        self._services.stream.write(memoryview(frames))  # type: ignore[union-attr] # is open

    @override
    def step(self, seconds: float) -> None:
        self.check()
        self._loop.step(seconds)
        self.check()

    def fail(self, error: BaseException) -> None:
        """Keep the first thing that went wrong."""
        if self.failure is None:
            self.reason = error
            self.failure = (
                error
                if isinstance(error, DeliveryError)
                else self._name_the_event(error, explain(error, self.address, self.exchange_name))
            )

    @override
    def fail_silent(self, doing: str, seconds: float) -> None:
        why = (
            "it blocks publishers, because its memory or disk alarm is on. Let it drain its "
            "queues, or give it more memory or disk (rabbitmqctl status)."
            if self.blocked
            else "check that it is not frozen or overloaded, and the network between."
        )
        self.fail(
            BrokerUnavailableError(
                f"Exchange {self.exchange_name!r}: RabbitMQ at {self.address} did not answer "
                f"within {seconds:g} s ({doing}): {why}",
                exchange_name=self.exchange_name,
            )
        )
        self.check()

    @override
    def close(self) -> None:
        if not self.is_foreign:
            self._disconnect()
        self._loop.let_go(self)

    def _disconnect(self) -> None:
        try:
            self._close(0 if self.blocked else CLOSE_SECONDS)
        except Exception as error:  # noqa: BLE001 - pika asserts much about what is already broken
            log.debug("%s: closing: %r", self.exchange_name, error)

    def _close(self, patience: float) -> None:
        if self._gone:
            return
        if not self._connection.is_closing:
            for channel in () if self.cancels_at_close else self._channels:
                _keep_consumers(channel)
            self._connection.close()
        self._step_until_gone(patience)
        if not self._gone and self._services.stream is not None:
            self._services.stream.abort()
            self._step_until_gone(CLOSE_SECONDS)

    def _step_until_gone(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._gone and (left := deadline - time.monotonic()) > 0:
            self._loop.step(left)

    def _parameters(self, seconds: float) -> pika.ConnectionParameters:
        settings, address = self._settings, self.address
        context = self._ssl_context(settings)
        return pika.ConnectionParameters(
            host=address.ip,
            port=address.port,
            virtual_host=address.virtual_host,
            credentials=pika.PlainCredentials(
                address.user, address.password.get_secret_value(), erase_on_connect=True
            ),
            ssl_options=pika.SSLOptions(context, address.host) if context else None,
            heartbeat=settings.heartbeat,
            blocked_connection_timeout=settings.blocked_connection_timeout,
            socket_timeout=seconds,
            stack_timeout=seconds,
            client_properties={"connection_name": f"tidings {self.exchange_name}"},
        )

    def _on_connection_lost(self, connection: object, error: BaseException) -> None:
        if connection is not self._connection:
            return  # of an address that was given up
        self._gone = True
        self.fail(error)

    def _on_channel_closed(self, _channel: object, error: BaseException) -> None:
        self.fail(error)

    def _on_blocked(self, _connection: object, _frame: object) -> None:
        self.blocked = True

    def _on_unblocked(self, _connection: object, _frame: object) -> None:
        self.blocked = False


def _keep_consumers(channel: Channel) -> None:
    """Let pika close the channel without cancelling its consumers first, as it would.

    A queue with a single active consumer goes on with the next one at once if that one is
    cancelled. What it holds comes back only when the channel closes. What was published between the
    two would come before that.
    """
    channel._cancelled.update(channel.consumer_tags)  # noqa: SLF001 - pika has no other way
