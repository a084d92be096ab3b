"""Turns what the stream protocol reports into errors that say what failed and what to do."""

from __future__ import annotations

import ssl

from rstream import exceptions

from tidings.plugins import (
    BrokerRefusedError,
    BrokerUnavailableError,
    NotAcceptedError,
)
from tidings_rabbitmq.diagnosis import Diagnosis, diagnose_socket

_LOGIN = "Check user and password in url (guest may log in from the broker's machine only)."
_GONE = Diagnosis(
    NotAcceptedError,
    "has no such stream (any more), or no leader for it just now",
    "It is created anew, or found again, when the exchange is opened next.",
)
_MEANINGS = {
    exceptions.StreamDoesNotExist.code: _GONE,
    exceptions.StreamNotAvailable.code: _GONE,
    exceptions.PublisherDoesNotExist.code: _GONE,
    exceptions.SASLMechanismNotSupported.code: Diagnosis(
        BrokerRefusedError, "takes no login by password", "Allow PLAIN (auth_mechanisms)."
    ),
    exceptions.AuthenticationFailure.code: Diagnosis(
        BrokerRefusedError, "refused the login", _LOGIN
    ),
    exceptions.SASLError.code: Diagnosis(BrokerRefusedError, "refused the login", _LOGIN),
    exceptions.SASLAuthenticationFailureLoopback.code: Diagnosis(
        BrokerRefusedError, "refused the login", _LOGIN
    ),
    exceptions.VirtualHostAccessFailure.code: Diagnosis(
        BrokerRefusedError,
        "refused the virtual host",
        "Check the virtual host in url, the user's permissions in it, and its limits.",
    ),
    exceptions.AccessRefused.code: Diagnosis(
        BrokerRefusedError,
        "refused access to the stream",
        "Let an administrator give the user configure, write and read permissions on the "
        "stream's name (rabbitmqctl set_permissions).",
    ),
    exceptions.PreconditionFailed.code: Diagnosis(
        BrokerRefusedError,
        "would not create the stream: a queue that is no stream has the name, or an argument "
        "of stream_arguments is not known",
        "Rename the exchange, delete that queue, or correct stream_arguments.",
    ),
}


def diagnose_code(code: int, doing: str) -> Diagnosis:
    """Return what a response code other than "OK" means."""
    return _MEANINGS.get(code) or Diagnosis(
        BrokerUnavailableError, f"answered {doing} with code {code}", "Look into its log."
    )


def lost(error: OSError) -> Diagnosis:
    """Return what the end of an open connection means."""
    if isinstance(error, ssl.SSLError):
        return diagnose_socket(error)
    return Diagnosis(
        BrokerUnavailableError,
        f"was connected, and the connection was lost: {error.strerror or error}",
        "Check that it runs, and its log.",
    )
