"""Turns what pika reports into errors that say what failed and what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pika import exceptions
from pika.adapters.utils import connection_workflow

from tidings.plugins import (
    BrokerRefusedError,
    BrokerUnavailableError,
    DeliveryError,
    ExchangeLockedError,
    NotAcceptedError,
)
from tidings_rabbitmq.diagnosis import Diagnosis, diagnose_socket, did_not_answer

if TYPE_CHECKING:
    from tidings_rabbitmq.address import Address

ACCESS_REFUSED = 403
NOT_FOUND = 404
RESOURCE_LOCKED = 405
PRECONDITION_FAILED = 406
CONNECTION_FORCED = 320
NOT_ALLOWED = 530
INTERNAL_ERROR = 541

_OTHER_TYPE = re.compile(r"inequivalent arg 'type' for exchange .*received '(\w+)' but .*'(\w+)'")
_LIMIT = re.compile(r"limit\b.*\breached|reached\b.*\blimit")
_TIMEOUTS = (
    connection_workflow.AMQPConnectorStackTimeout,
    exceptions.AMQPHeartbeatTimeout,
    exceptions.ConnectionOpenAborted,  # pika's word for its own timer, in the middle of the login
    TimeoutError,
)


def explain(error: BaseException, address: Address, exchange_name: str) -> DeliveryError:
    """Return the error to raise for pika's ``error``, as a sentence for a person."""
    return _diagnose(innermost(error)).error(address, exchange_name)


def innermost(error: BaseException) -> BaseException:
    """Return what pika's wrappers are wrapped around."""
    while True:
        nested = [*getattr(error, "exceptions", ()), getattr(error, "exception", None)]
        inner = [each for each in (*nested, *error.args) if isinstance(each, BaseException)]
        if not inner:
            return error
        error = inner[-1]


def broker_text(error: BaseException) -> str:
    """Return the broker's own words, or pika's if the broker said nothing."""
    # str() of pika's errors is often empty.
    return str(getattr(error, "reply_text", "") or (error.args[0] if error.args else repr(error)))


def _diagnose(cause: BaseException) -> Diagnosis:
    if _LIMIT.search(broker_text(cause)) or isinstance(cause, exceptions.NoFreeChannels):
        return Diagnosis(
            BrokerRefusedError,
            f"has reached a limit: {broker_text(cause)}",
            "Raise it (rabbitmqctl set_vhost_limits, set_user_limits), or close or delete what "
            "nobody needs. Each exchange needs a connection with one channel, and two queues, or "
            "four with resume = 'tail'.",
        )
    if isinstance(cause, exceptions.ChannelClosedByBroker):
        return _diagnose_channel(cause)
    if isinstance(cause, OSError):
        return diagnose_socket(cause)
    return _diagnose_connection(cause)


def _diagnose_channel(
    cause: exceptions.ChannelClosedByBroker,
) -> Diagnosis:
    said = f"closed the channel: {cause.reply_text}"
    if cause.reply_code == ACCESS_REFUSED:
        return Diagnosis(
            BrokerRefusedError,
            said,
            "Let an administrator give the user configure, write and read permissions on the "
            "exchange's name and on names that begin with it (rabbitmqctl set_permissions). Or "
            "make what is needed, and set topology = 'check'.",
        )
    if cause.reply_code == NOT_FOUND:
        return _diagnose_missing(said)
    if cause.reply_code == RESOURCE_LOCKED:
        return Diagnosis(
            ExchangeLockedError,
            said,
            "Another connection holds it for itself; stop that one.",
        )
    return _diagnose_acknowledgement(said) or _diagnose_difference(cause.reply_text, said)


def _diagnose_acknowledgement(said: str) -> Diagnosis | None:
    if "delivery acknowledgement" in said:
        return Diagnosis(
            BrokerUnavailableError,
            said,
            "What was not acknowledged comes again when the exchange is opened again. Lower "
            "prefetch: the time of each message runs from when it was sent ahead. Or raise "
            "consumer_timeout (rabbitmq.conf).",
        )
    if "unknown delivery tag" in said:
        return Diagnosis(
            BrokerUnavailableError,
            said,
            "A message was acknowledged twice, perhaps. What was not acknowledged comes again when "
            "the exchange is opened again.",
        )
    return None


def _diagnose_difference(reply_text: str, said: str) -> Diagnosis:
    if other := _OTHER_TYPE.search(reply_text):
        return Diagnosis(
            BrokerRefusedError,
            f"has an exchange of that name and of the type {other[2]!r}; exchange_type says "
            f"{other[1]!r}",
            f"Set exchange_type = {other[2]!r}, or delete the exchange and bind its queues anew: "
            "RabbitMQ cannot change a type.",
        )
    return Diagnosis(
        BrokerRefusedError,
        said,
        "If something exists there with other properties, delete it, or make the settings "
        "(queue_arguments) agree with it.",
    )


def _diagnose_missing(said: str) -> Diagnosis:
    if "home node" in said:
        return Diagnosis(
            BrokerUnavailableError,
            said,
            "Start that node of the cluster. If it never comes back, delete the queue.",
        )
    if "has crashed" in said:
        return Diagnosis(
            BrokerUnavailableError,
            said,
            "Its log says why: a full disk, perhaps. Mend that, and start the broker again.",
        )
    return Diagnosis(
        NotAcceptedError,
        said,
        "Somebody deleted it, or a policy let it expire. It is declared anew when the exchange "
        "is opened next; a queue may lack what was published meanwhile (tidings replay sends "
        "it again, to all subscribers). Other subscribers' bindings are not: check them.",
    )


def _diagnose_connection(cause: BaseException) -> Diagnosis:
    if isinstance(cause, _TIMEOUTS):
        return did_not_answer()
    return _diagnose_refusal(cause, getattr(cause, "reply_code", None)) or _diagnose_loss(cause)


def _diagnose_refusal(cause: BaseException, code: int | None) -> Diagnosis | None:
    text = broker_text(cause)
    if isinstance(cause, exceptions.ProbableAuthenticationError) or code == ACCESS_REFUSED:
        return Diagnosis(
            BrokerRefusedError,
            f"refused the login: {text}",
            "Check user and password in url (guest may log in from the broker's machine only).",
        )
    if isinstance(cause, exceptions.ProbableAccessDeniedError) or code == NOT_ALLOWED:
        return Diagnosis(
            BrokerRefusedError,
            f"refused the virtual host: {text}",
            "Check the virtual host in url, and the user's permissions in it.",
        )
    if code == INTERNAL_ERROR and "is deprecated" in text:
        return Diagnosis(
            BrokerRefusedError,
            f"does not permit a feature: {text}",
            "Take it out of queue_arguments, or permit it in rabbitmq.conf "
            "(deprecated_features.permit).",
        )
    if isinstance(cause, exceptions.IncompatibleProtocolError):
        return Diagnosis(
            BrokerRefusedError,
            "did not answer in AMQP 0-9-1",
            "Check the port in url; for a TLS port begin it with amqps://.",
        )
    return None


def _diagnose_loss(cause: BaseException) -> Diagnosis:
    text = broker_text(cause)
    if isinstance(cause, exceptions.ConnectionBlockedTimeout):
        return Diagnosis(
            BrokerUnavailableError,
            "blocks publishers: its memory or disk alarm is on",
            "Let it drain its queues, or give it more memory or disk (rabbitmqctl status).",
        )
    if getattr(cause, "reply_code", None) == CONNECTION_FORCED:
        return Diagnosis(
            BrokerUnavailableError, f"is going down: {text}", "Wait for it, or start it."
        )
    return Diagnosis(
        BrokerUnavailableError,
        f"was connected, and the connection was lost: {text}",
        "Check that it runs, and its log.",
    )
