"""What went wrong with a broker, in three parts that make a sentence and an advice."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, NamedTuple

from tidings.plugins import BrokerRefusedError, BrokerUnavailableError, DeliveryError

if TYPE_CHECKING:
    from tidings_rabbitmq.address import Address


class Diagnosis(NamedTuple):
    """The kind of error, what the broker did ("refused the login"), and what to do."""

    kind: type[DeliveryError]
    what: str
    advice: str

    def error(
        self, address: Address, exchange_name: str, event_id: int | None = None
    ) -> DeliveryError:
        """Return the error to raise."""
        of_event = "" if event_id is None else f" (event {event_id})"
        return self.kind(
            f"Exchange {exchange_name!r}: RabbitMQ at {address} {self.what}{of_event}. "
            f"{self.advice}",
            exchange_name=exchange_name,
            event_id=event_id,
        )


def diagnose_socket(cause: OSError) -> Diagnosis:
    """Return what an error of a socket means."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Diagnosis(
            BrokerRefusedError,
            f"showed a certificate that is not to be trusted: {cause.verify_message}",
            "Check ca_file, the host in url, and the certificate's dates.",
        )
    if isinstance(cause, ssl.SSLError):
        return Diagnosis(
            BrokerRefusedError,
            f"and we could not agree on TLS: {cause.reason or cause}",
            "Check the port (5671 is usual for amqps), and certificate_file and key_file.",
        )
    if isinstance(cause, socket.gaierror):
        return Diagnosis(
            BrokerUnavailableError,
            f"cannot be found: {cause.strerror}",
            "Check the host in url, and the name service.",
        )
    if isinstance(cause, TimeoutError):
        return did_not_answer()
    if isinstance(cause, ConnectionRefusedError):
        return Diagnosis(
            BrokerUnavailableError,
            "does not take connections: nothing listens there",
            "Start it, or check host and port in url.",
        )
    return Diagnosis(
        BrokerUnavailableError,
        f"cannot be reached: {cause.strerror or repr(cause)}",
        "Check the network, and host and port in url.",
    )


def did_not_answer() -> Diagnosis:
    """Return what silence means."""
    return Diagnosis(
        BrokerUnavailableError,
        "did not answer in time",
        "Check that it is not frozen or overloaded, and the network between.",
    )
