"""The places where a broker may be: a cluster's hosts, and every address behind each name."""

from __future__ import annotations

import socket
import time
from threading import Thread
from typing import TYPE_CHECKING

from tidings.plugins import BrokerRefusedError, BrokerUnavailableError, DeliveryError
from tidings_rabbitmq.diagnosis import diagnose_socket

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidings_rabbitmq.address import Address

LOOK_UP_STEP = 0.05


def connect_in_turn(
    addresses: Sequence[Address],
    exchange_name: str,
    seconds: float,
    wait: Callable[[float], None],
    attempt: Callable[[Address, float], None],
) -> None:
    """Call ``attempt`` with one place after the other, until one doesn't raise.

    Each has its share of the ``seconds`` that are left. ``wait`` passes some time, while names
    are looked up. Raises the one ``DeliveryError`` there is, or one that tells all of them.
    """
    deadline = time.monotonic() + seconds
    failed: list[DeliveryError] = []
    found: list[Address] = []
    for number, address in enumerate(addresses):
        share = (deadline - time.monotonic()) / (len(addresses) - number)
        try:
            found += _look_up(address, exchange_name, share, wait)
        except DeliveryError as error:
            failed.append(error)
    for number, address in enumerate(found):
        share = (deadline - time.monotonic()) / (len(found) - number)
        try:
            attempt(address, max(share, LOOK_UP_STEP))
        except DeliveryError as error:
            failed.append(error)
        else:
            return
    raise _none_will_do(failed, exchange_name)


def _look_up(
    address: Address, exchange_name: str, seconds: float, wait: Callable[[float], None]
) -> list[Address]:
    """Return the addresses of a host; a name service that does not answer is not waited for."""
    answers: list[list[Address] | OSError] = []

    def ask() -> None:
        try:
            found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        except OSError as error:
            answers.append(error)
        else:
            ips = dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found)
            answers.append([address._replace(ip=ip) for ip in ips])

    thread = Thread(target=ask, daemon=True, name=f"look up {address.host}")
    thread.start()
    thread.join(LOOK_UP_STEP)  # most are known at once
    deadline = time.monotonic() + seconds
    while thread.is_alive() and time.monotonic() < deadline:
        wait(LOOK_UP_STEP)
    answer = answers[0] if answers else TimeoutError("the name service did not answer")
    if isinstance(answer, OSError):
        raise diagnose_socket(answer).error(address, exchange_name) from answer
    return answer


def _none_will_do(failed: Sequence[DeliveryError], exchange_name: str) -> DeliveryError:
    """Return what happened at each place, if it was not the same; a refusal, if there is one."""
    errors = {str(error): error for error in failed}
    if len(errors) == 1:
        return failed[0]
    refused = any(isinstance(error, BrokerRefusedError) for error in failed)
    kind = BrokerRefusedError if refused else BrokerUnavailableError
    prefix = f"Exchange {exchange_name!r}: "
    reasons = " ".join(text.removeprefix(prefix) for text in errors)
    error = kind(
        f"{prefix}none of {len(failed)} addresses will do. {reasons}", exchange_name=exchange_name
    )
    error.__cause__ = failed[-1]
    return error
