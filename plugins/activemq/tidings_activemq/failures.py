"""What went wrong, as a sentence and the right kind of error."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from tidings.plugins import (
    BrokerRefusedError,
    BrokerUnavailableError,
    DeliveryError,
    NotAcceptedError,
    UndeliverableEventError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidings_activemq.settings import Address

_REFUSALS = ("not authorized", "password is invalid", "SecurityException", "credentials")


class TooLargeError(UndeliverableEventError):
    """A frame was larger than the broker takes; it doesn't say which one."""


class StalledError(BrokerUnavailableError):
    """The broker goes on with nothing, though it lives; ``reason`` is a sentence, or a question."""

    def __init__(self, message: str, *, exchange_name: str, reason: str) -> None:
        super().__init__(message, exchange_name=exchange_name)
        self.reason = reason


class Failures:
    """Makes the errors of one exchange on one broker, which may have several addresses."""

    def __init__(self, exchange_name: str, addresses: Sequence[Address]) -> None:
        self.exchange_name = exchange_name
        self._tls = addresses[0].tls
        self._password = addresses[0].password
        where = ",".join([str(addresses[0]), *(each.place for each in addresses[1:])])
        self._what = f"exchange {exchange_name!r} on ActiveMQ at {where}"

    def reason_of(self, error: DeliveryError) -> str:
        """Return what an error made here says beside the exchange and the address."""
        return str(error).removeprefix(f"No use of {self._what}: ").rstrip(".")

    def unavailable(self, reason: str) -> BrokerUnavailableError:
        """Return the error of a broker that is away, or has stopped answering."""
        return BrokerUnavailableError(self._sentence(reason), exchange_name=self.exchange_name)

    def refused(self, reason: str) -> BrokerRefusedError:
        """Return the error of a broker that wants something changed."""
        return BrokerRefusedError(self._sentence(reason), exchange_name=self.exchange_name)

    def connecting(self, error: OSError) -> DeliveryError:
        """Return the error for what went wrong while connecting."""
        match error:
            case ssl.SSLCertVerificationError():
                return self.refused(
                    f"the broker's certificate is not accepted ({error.verify_message}). Check "
                    "ca_file, the host's name in url, and the certificate's dates"
                )
            case FileNotFoundError() | PermissionError():
                return self.refused(
                    "a file of ca_file, certificate_file or key_file cannot be read "
                    f"({error.strerror})"
                )
            case socket.gaierror():
                return self.unavailable(
                    f"the host's name is not known ({error.strerror}). Check the host in url"
                )
            case TimeoutError():
                tls = ", and does the port speak TLS" if self._tls else ""
                return self.unavailable(
                    "it did not answer within connect_timeout, or its part of that. Is it "
                    f"overloaded or frozen, does a firewall swallow what is sent{tls}?"
                )
            case ssl.SSLError():
                return self.refused(
                    f"TLS was not agreed on ({error.reason or error.strerror or error}). Check "
                    "that the port speaks TLS, and certificate_file"
                )
            case _:
                return self.unavailable(
                    f"cannot connect ({_reason(error)}). Does it run, and speak STOMP there?"
                )

    def error_frame(self, message: str, body: bytes) -> DeliveryError:
        """Return the error for an ERROR frame."""
        text = body.decode(errors="replace")
        causes = [line for line in text.splitlines() if line.startswith("Caused by: ")]
        reason = causes[-1].removeprefix("Caused by: ") if causes else message
        reason = self._without_password(reason.strip().rstrip(".")) or "it gave no reason"
        if any(word in reason or word in message for word in _REFUSALS):
            return self.refused(
                f"the broker refuses it: {reason}. Check user and password in url, and that the "
                "user may read, write and create what the exchange needs (see the plugin's README)"
            )
        if "maximum" in message and "exceeded" in message:
            return TooLargeError(
                f"A message to {self._what} is larger than the broker takes ({reason}). Make the "
                "event smaller, or raise wireFormat.maxDataLength, or maxFrameSize, of the "
                "broker's STOMP connector.",
                exchange_name=self.exchange_name,
            )
        return NotAcceptedError(
            f"The broker took something back of {self._what}: {reason}.",
            exchange_name=self.exchange_name,
        )

    def not_answering(self, seconds: float) -> StalledError:
        """Return the error of a broker that accepts nothing."""
        return self._stalled(
            f"it has accepted nothing for {seconds:g} s (no_progress_timeout). Is it frozen, or at "
            "its memory or store limit?"
        )

    def not_taking(self, seconds: float) -> StalledError:
        """Return the error of a connection that takes no bytes."""
        return self._stalled(
            f"the connection took no byte for {seconds:g} s (send_timeout). Is the broker frozen, "
            "or at its memory or store limit?"
        )

    def _stalled(self, reason: str) -> StalledError:
        return StalledError(self._sentence(reason), exchange_name=self.exchange_name, reason=reason)

    def lost(self, error: OSError | None = None) -> BrokerUnavailableError:
        """Return the error of a connection that ended under us."""
        detail = f" ({_reason(error)})" if error else ""
        return self.unavailable(
            f"the connection was lost, or the broker was silent for longer than heartbeat{detail}"
        )

    def _sentence(self, reason: str) -> str:
        return f"No use of {self._what}: {reason}{'' if reason.endswith('?') else '.'}"

    def _without_password(self, text: str) -> str:
        return text.replace(self._password, "***") if self._password else text


def _reason(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
