"""What can be set for ActiveMQ, and the address that the URL stands for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003 - pydantic reads the annotations when the module runs
from typing import Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from tidings.plugins import Settings
from tidings_activemq.destinations import is_subscriber_name

STOMP_PORT = 61613
STOMP_TLS_PORT = 61612
EXAMPLE = "stomp://user:password@host:61613, or stomp+ssl:// for TLS"


@dataclass(frozen=True, slots=True)
class Address:
    """Where the broker is, and as whom to log in."""

    host: str
    port: int
    user: str | None
    password: str | None = field(repr=False)
    tls: bool

    def __str__(self) -> str:
        """Return the address for a person: never the password."""
        scheme = "stomp+ssl" if self.tls else "stomp"
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        return f"{scheme}://{user}{host}:{self.port}"


def _address(url: str) -> Address:
    """Take ``url`` apart; ``ValueError`` with a reason that shows nothing of it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"is not a URL; it looks like {EXAMPLE}") from None
    if parts.scheme not in ("stomp", "stomp+ssl") or not parts.hostname:
        raise ValueError(f"must look like {EXAMPLE}")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(
            f"has something after the port; it looks like {EXAMPLE} "
            "(a / ? # or @ in the password is written %2F %3F %23 %40)"
        )
    tls = parts.scheme == "stomp+ssl"
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password is not None else None
    if any(character in (user or "") + (password or "") for character in "\r\n\0"):
        raise ValueError("has a line break or NUL in user or password; STOMP cannot send that")
    return Address(
        host=parts.hostname,
        port=port or (STOMP_TLS_PORT if tls else STOMP_PORT),
        user=user,
        password=password,
        tls=tls,
    )


class ActiveMQSettings(Settings):
    """Settings of the ``activemq`` backend, for its producer and its consumer."""

    url: SecretStr = Field(
        description="Where the broker speaks STOMP, and the login: "
        "stomp://user:password@host:61613, or stomp+ssl://user:password@host:61612 for TLS.",
        examples=["stomp://admin:admin@localhost:61613"],
    )
    subscribers: tuple[str, ...] = Field(
        default=("app",),
        description="Who reads each exchange. Subscriber app of exchange X has the queue "
        "Consumer.app.VirtualTopic.X, which is made before anything is published, so that "
        "nothing is published to nobody. With an empty list that is your own care.",
    )
    destination: str | None = Field(
        default=None,
        description="A destination in full, /queue/NAME or /topic/NAME, to publish to and to read "
        "from in place of the exchange's virtual topic.",
    )
    ca_file: Path | None = Field(
        default=None,
        description="PEM file of the authorities that may vouch for the broker (stomp+ssl only). "
        "Default: those that the system trusts.",
    )
    certificate_file: Path | None = Field(
        default=None, description="PEM file of our own certificate, where the broker asks for one."
    )
    key_file: Path | None = Field(
        default=None,
        description="PEM file of our certificate's key. Default: it stands in certificate_file.",
    )
    token: bool = Field(
        default=True,
        description="Keep one message in the queue X.tracker: it is the lock that lets one relay "
        "at a time publish to X, and the last published id, so that a crash republishes nothing.",
    )
    token_timeout: float = Field(
        default=2.0,
        gt=0,
        description="Seconds to wait for the token before saying that another relay has it.",
    )
    batch_size: int = Field(
        default=500, ge=1, le=10_000, description="Events in one transaction on the broker."
    )
    window: int = Field(
        default=2000,
        ge=1,
        description="Events that may be under way at once, sent and not yet accepted.",
    )
    prefetch: int = Field(
        default=1000,
        ge=1,
        description="Messages that a consumer may have received and not yet acknowledged.",
    )
    heartbeat: float = Field(
        default=5.0,
        ge=0,
        description="Seconds of silence after which either side takes the other for dead; "
        "0 for no heartbeats.",
    )
    connect_timeout: float = Field(
        default=10.0, gt=0, description="Seconds for connecting, TLS and login together."
    )
    send_timeout: float = Field(
        default=10.0,
        gt=0,
        description="Seconds for which the connection may take no byte before it is given up.",
    )
    no_progress_timeout: float = Field(
        default=30.0,
        gt=0,
        description="Seconds without any acceptance, with events under way, before the connection "
        "is given up.",
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: SecretStr) -> SecretStr:
        _address(url.get_secret_value())
        return url

    @field_validator("subscribers")
    @classmethod
    def _check_subscribers(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not is_subscriber_name(name):
                raise ValueError(
                    f"{name!r} cannot be part of a queue's name: no dots, white space or * > , ? /"
                )
        return names

    @field_validator("destination")
    @classmethod
    def _check_destination(cls, destination: str | None) -> str | None:
        if destination is not None and not destination.startswith(("/queue/", "/topic/")):
            raise ValueError("must begin with /queue/ or /topic/")
        return destination

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        files = ("ca_file", "certificate_file", "key_file")
        given = [name for name in files if getattr(self, name) is not None]
        if given and not self.address.tls:
            raise ValueError(f"{given[0]} needs a url that begins with stomp+ssl://")
        if self.key_file and not self.certificate_file:
            raise ValueError("key_file needs certificate_file")
        if self.window < self.batch_size:
            raise ValueError(f"window must be at least batch_size ({self.batch_size})")
        return self

    @property
    def address(self) -> Address:
        """The URL, taken apart. Holds the password: not to be printed field by field."""
        return _address(self.url.get_secret_value())
