"""What can be set for ActiveMQ, and the address that the URL stands for."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003 - pydantic reads the annotations when the module runs
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from typing_extensions import override

from tidings.plugins import Settings
from tidings_activemq.destinations import (
    QUEUE,
    TOPIC,
    check_pattern,
    is_subscriber_name,
    subscriber_queue,
)
from tidings_activemq.routing import joined, wanted

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

    @override
    def __str__(self) -> str:
        """Return the address for a person: never the password."""
        scheme = "stomp+ssl" if self.tls else "stomp"
        user = f"{self.user}@" if self.user else ""
        return f"{scheme}://{user}{self.place}"

    @property
    def place(self) -> str:
        """Host and port alone."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def _by_name(subscribers: Any) -> Any:
    """Return subscribers without routing keys as those that have some are written."""
    is_list = isinstance(subscribers, list | tuple) and all(
        isinstance(name, str) for name in subscribers
    )
    return {name: [] for name in subscribers} if is_list else subscribers


def _addresses(url: str) -> tuple[Address, ...]:
    """Take ``url`` apart; ``ValueError`` with a reason that shows nothing of it."""
    scheme, _, rest = url.partition("://")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    login, at, hosts = authority.rpartition("@")
    try:
        places = [urlsplit(f"//{login}{at}{host}") for host in hosts.split(",")]
        ports = [place.port for place in places]
    except ValueError:
        raise ValueError(f"is not a URL; it looks like {EXAMPLE}") from None
    if scheme not in ("stomp", "stomp+ssl") or not all(place.hostname for place in places):
        raise ValueError(f"must look like {EXAMPLE}")
    if rest[len(authority) :] not in ("", "/"):
        raise ValueError(
            f"has something after the port; it looks like {EXAMPLE} "
            "(a / ? # or @ in the password is written %2F %3F %23 %40)"
        )
    tls = scheme == "stomp+ssl"
    user = unquote(places[0].username) if places[0].username else None
    password = unquote(places[0].password) if places[0].password is not None else None
    if any(character in (user or "") + (password or "") for character in "\r\n\0"):
        raise ValueError("has a line break or NUL in user or password; STOMP cannot send that")
    return tuple(
        Address(
            host=place.hostname or "",
            port=port or (STOMP_TLS_PORT if tls else STOMP_PORT),
            user=user,
            password=password,
            tls=tls,
        )
        for place, port in zip(places, ports, strict=True)
    )


class ActiveMQSettings(Settings):
    """Settings of the ``activemq`` backend, for its producer and its consumer."""

    url: SecretStr = Field(
        description="Where the broker speaks STOMP, and the login: "
        "stomp://user:password@host:61613, or stomp+ssl://user:password@host:61612 for TLS. "
        "Several hosts of one broker, host1:61613,host2:61613, are tried in turn.",
        examples=["stomp://admin:admin@localhost:61613"],
    )
    subscribers: Annotated[dict[str, list[str]], BeforeValidator(_by_name)] = Field(
        default={"app": []},
        description="Who reads each exchange. Subscriber app of exchange X has the queue "
        "Consumer.app.VirtualTopic.X, which is made before anything is published, so that "
        "nothing is published to nobody. With an empty list that is your own care. With "
        "routing = 'topic' each may have routing keys: {billing = ['shop.order.*']}.",
    )
    routing: Literal["none", "header", "topic"] = Field(
        default="none",
        description="How a routing key travels. 'topic': as a further part of the topic's name, "
        "VirtualTopic.X.shop.order, and as the header routing_key. 'header': as the header alone.",
    )
    topic_name: str = Field(
        default=TOPIC,
        description="The virtual topic that an exchange is, if the broker's virtual topics "
        "follow a pattern of their own.",
    )
    queue_name: str = Field(
        default=QUEUE,
        description="The queue that a subscriber of an exchange reads, if the broker's virtual "
        "topics follow a pattern of their own.",
    )
    prove_queues: bool = Field(
        default=True,
        description="See at open, by a message through the topic X._probe, that what is sent to a "
        "topic gets into a subscriber's queue.",
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
        default=None, description="PEM file of our own certificate, if the broker asks for one."
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
    batch_bytes: int = Field(
        default=1_000_000,
        ge=1,
        description="Bytes after which a transaction is committed, however few its events are, as "
        "the broker counts them: 1,024 for each event, and its body and headers. If a broker "
        "bears less, less is tried.",
    )
    window: int = Field(
        default=2000,
        ge=1,
        description="Events that may be in flight at once, sent and not yet accepted.",
    )
    prefetch: int = Field(
        default=1000,
        ge=1,
        description="Messages that a consumer may have received and not yet acknowledged.",
    )
    heartbeat: float = Field(
        default=5.0,
        ge=0,
        description="Seconds of silence after which the broker counts as dead, and after once or "
        "twice as long the broker gives us up; 0 for no heartbeats.",
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
        description="Seconds without any acceptance, with events in flight, before the connection "
        "is given up.",
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: SecretStr) -> SecretStr:
        _addresses(url.get_secret_value())
        return url

    @field_validator("subscribers")
    @classmethod
    def _check_subscribers(cls, subscribers: dict[str, list[str]]) -> dict[str, list[str]]:
        for name, keys in subscribers.items():
            if not is_subscriber_name(name):
                raise ValueError(
                    f"{name!r} cannot be part of a queue's name: no dots, white space or * > , ? /"
                )
            wanted(keys)
        return subscribers

    @field_validator("topic_name")
    @classmethod
    def _check_topic_name(cls, pattern: str) -> str:
        check_pattern(pattern, "exchange")
        return pattern

    @field_validator("queue_name")
    @classmethod
    def _check_queue_name(cls, pattern: str) -> str:
        check_pattern(pattern, "exchange", "subscriber")
        return pattern

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
        if given and not self.addresses[0].tls:
            raise ValueError(f"{given[0]} needs a url that begins with stomp+ssl://")
        if self.key_file and not self.certificate_file:
            raise ValueError("key_file needs certificate_file")
        if self.routing == "topic" and self.destination is not None:
            raise ValueError(
                "routing = 'topic' gives each routing key a topic of its own, and destination is "
                "one for all; use routing = 'header', or leave destination out"
            )
        if self.routing != "topic" and any(self.subscribers.values()):
            raise ValueError("subscribers have routing keys, for which routing must be 'topic'")
        if self.window < self.batch_size:
            raise ValueError(f"window must be at least batch_size ({self.batch_size})")
        return self

    def queue_of(
        self,
        exchange_name: str,
        subscriber: str,
        name: str | None = None,
        partition: int | None = None,
    ) -> str:
        """Return the queue of a subscriber, or of one partition of it.

        With ``routing = "topic"`` it is that for ``name``, or for what the subscriber is given.
        """
        if self.routing != "topic":
            name = ""
        elif name is None:
            name = wanted(self.subscribers.get(subscriber, [])).name
        part = joined(partition, name)
        return subscriber_queue(exchange_name, subscriber, self.queue_name, part)

    @property
    def window_bytes(self) -> int:
        """The bytes that may be in flight at once: those of as many transactions as a window."""
        return self.batch_bytes * max(self.window // self.batch_size, 1)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The URL, taken apart. Holds the password: not to be printed field by field."""
        return _addresses(self.url.get_secret_value())
