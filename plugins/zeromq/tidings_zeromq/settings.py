"""The words under ``[producers.NAME]`` for ``zeromq``."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from tidings.plugins import Settings

MAX_NAME_BYTES = 255
DEFAULT_HEARTBEAT = 5.0

_Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
_Z85_KEY_LENGTH = 40
_TCP = re.compile(r"tcp://(?P<host>\[[0-9A-Fa-f:.%\w]+\]|[^\s:/\[\]]+):(?P<port>\d{1,5})")
_IPC = re.compile(r"ipc://(?P<path>.+)")
_MAX_PORT = 65535
_MAX_IPC_PATH = 100  # sockaddr_un holds 107 bytes on Linux, 103 on macOS
_WILDCARDS = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - not bound here


def check_address(address: str) -> str:
    """Return ``address`` if a relay can bind it or a subscriber connect to it."""
    if match := _IPC.fullmatch(address):
        if len(match["path"].encode()) > _MAX_IPC_PATH:
            raise ValueError(
                f"the path in {address!r} is too long for a Unix socket; "
                f"{_MAX_IPC_PATH} bytes are allowed"
            )
        return address
    match = _TCP.fullmatch(address)
    if match is None:
        raise ValueError(
            f"{address!r} is no ZeroMQ address; write tcp://HOST:PORT or ipc:///PATH, "
            "for instance tcp://127.0.0.1:5556"
        )
    if not 1 <= int(match["port"]) <= _MAX_PORT:
        raise ValueError(f"{address!r}: the port must be 1 to {_MAX_PORT}")
    return address


def check_name(name: str, what: str = "a subscriber") -> str:
    """Return ``name`` if it can name a subscriber, or an exchange."""
    if not name or not name.isprintable() or len(name.encode()) > MAX_NAME_BYTES:
        raise ValueError(
            f"{name[:40]!r} cannot name {what}; 1 to {MAX_NAME_BYTES} bytes without control "
            "characters can"
        )
    return name


def check_key(key: str) -> str:
    """Return ``key`` if it can be a CURVE key; the error does not show it."""
    groups = [key[start : start + 5] for start in range(0, len(key), 5)]
    if len(key) != _Z85_KEY_LENGTH or not all(map(_is_z85, groups)):
        raise ValueError(
            f"a CURVE key is {_Z85_KEY_LENGTH} characters of Z85 text; this "
            + (f"has {len(key)}" if len(key) != _Z85_KEY_LENGTH else "is no Z85 text")
            + ". `python -c 'import zmq; print(*zmq.curve_keypair())'` makes a public and a "
            "secret one"
        )
    return key


def _is_z85(group: str) -> bool:
    """Return whether five characters stand for four bytes."""
    value = 0
    for character in group:
        if character not in _Z85:
            return False
        value = value * len(_Z85) + _Z85.index(character)
    return value < 2**32


def _check_secret_key(key: SecretStr) -> SecretStr:
    check_key(key.get_secret_value())
    return key


def _check_subscriber_name(name: str) -> str:
    return check_name(name)


Address = Annotated[str, AfterValidator(check_address)]
SubscriberName = Annotated[str, AfterValidator(_check_subscriber_name)]
PublicKey = Annotated[str, AfterValidator(check_key)]
SecretKey = Annotated[SecretStr, AfterValidator(_check_secret_key)]


class EndpointSettings(Settings):
    """What a relay and the subscribers at its address have in common."""

    bind: Address = Field(
        default="tcp://127.0.0.1:5556",
        description="Where the relay listens for subscribers: tcp://HOST:PORT or ipc:///PATH.",
    )
    connect: Address | None = Field(
        default=None,
        description="Where subscribers reach the relay; by default the bind address, with a "
        "wildcard host read as this machine.",
    )
    heartbeat: float = Field(
        default=DEFAULT_HEARTBEAT,
        ge=0.1,
        le=3600,
        description="Seconds between ZMTP heartbeats; a peer that is silent for three is gone.",
    )
    max_connections: int = Field(
        default=200,
        ge=1,
        le=10_000,
        description="How many connections the relay takes at once; more are cut off.",
    )
    curve_secret_key: SecretKey | None = Field(
        default=None,
        description="The relay's CURVE secret key (Z85). With it, only encrypted connections of "
        "`curve_clients` are taken.",
    )
    curve_public_key: PublicKey | None = Field(
        default=None,
        description="The relay's CURVE public key, which subscribers check.",
    )
    curve_clients: list[str] = Field(
        default_factory=list,
        description='CURVE public keys of the subscribers that may connect, or ["*"] for all who '
        "know the relay's public key.",
    )
    curve_client_secret_key: SecretKey | None = Field(
        default=None,
        description="The subscriber's CURVE secret key, for `tidings listen`.",
    )

    @field_validator("curve_clients")
    @classmethod
    def _clients_are_keys(cls, clients: list[str]) -> list[str]:
        return clients if clients == ["*"] else [check_key(client) for client in clients]

    @model_validator(mode="after")
    def _curve_is_complete(self) -> Self:
        if self.curve_secret_key is not None and not self.curve_clients:
            raise ValueError(
                "curve_secret_key is set, and curve_clients names nobody who may connect; list "
                "the subscribers' public keys, or [\"*\"] for all who know the relay's"
            )
        if self.curve_clients and self.curve_secret_key is None and self.curve_public_key is None:
            raise ValueError("curve_clients is set without curve_secret_key: nothing is encrypted")
        if self.curve_client_secret_key is not None and (
            self.curve_public_key is None and self.curve_secret_key is None
        ):
            raise ValueError(
                "curve_client_secret_key is set without curve_public_key, the relay's public key"
            )
        return self

    @property
    def connect_address(self) -> str:
        """Where a subscriber connects."""
        if self.connect is not None:
            return self.connect
        match = _TCP.fullmatch(self.bind)
        if match is None:
            return self.bind
        return f"tcp://{_WILDCARDS.get(match['host'], match['host'])}:{match['port']}"


class ZeroMQSettings(EndpointSettings):
    """The settings of ``zeromq``: acknowledged delivery to subscribers, without a broker."""

    subscribers: list[SubscriberName] = Field(
        default=["app"],
        description="The subscribers whose acknowledgement makes an event accepted. Others may "
        "read along.",
    )
    window: int = Field(
        default=1000,
        ge=1,
        le=1_000_000,
        description="How many events may wait for acknowledgement before sending pauses; also "
        "what one subscriber may have in flight.",
    )
    window_bytes: int = Field(
        default=16 * 1024 * 1024,
        ge=1024,
        description="The same in bytes; one event larger than it still passes, alone.",
    )
    no_progress_timeout: float = Field(
        default=30.0,
        gt=0,
        description="Seconds for which a required subscriber may acknowledge nothing before the "
        "relay gives up and tries anew.",
    )

    @field_validator("subscribers")
    @classmethod
    def _somebody_is_required(cls, subscribers: list[str]) -> list[str]:
        if not subscribers:
            raise ValueError(
                "without a required subscriber nobody's word makes an event accepted; name one, "
                'or use backend = "zeromq-pub", which sends without acknowledgement and loses '
                "what nobody hears"
            )
        if twice := sorted({name for name in subscribers if subscribers.count(name) > 1}):
            raise ValueError(f"named twice: {', '.join(twice)}")
        return subscribers
