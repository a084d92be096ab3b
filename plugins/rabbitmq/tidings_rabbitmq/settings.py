"""The settings of the ``rabbitmq`` backend."""

from __future__ import annotations

from functools import cached_property
from typing import Literal, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from tidings_rabbitmq.address import Address, parse_address
from tidings_rabbitmq.tls import TlsSettings

SHORT_STRING = 255
"""Bytes that an AMQP short string holds."""


class RabbitMQSettings(TlsSettings):
    """What ``[producers.<name>]`` may say for ``rabbitmq``."""

    url: SecretStr = Field(
        description="amqp://user:password@host:5672/virtual-host, or amqps:// for TLS (port 5671).",
        examples=["amqp://guest:guest@localhost:5672/"],
    )
    resume: Literal["tracker", "tail"] = Field(
        default="tracker",
        description="Where to go on after a crash. 'tracker': after the last event that was "
        "tracked; up to one window of events is published twice. 'tail': after the "
        "last event that the broker itself holds; nothing is published twice. Not with quorum "
        "queues, nor with queues that may refuse messages (x-overflow = reject-publish).",
    )
    lock: bool = Field(
        default=True,
        description="Let the broker itself see to it that one relay at a time publishes to an "
        "exchange. Without it a crash may reorder events.",
    )
    window: int = Field(
        default=2000,
        ge=1,
        le=65535,
        description="How many messages may be under way that are not confirmed, or not tracked: "
        "the most that a killed relay sends again.",
    )
    queue_arguments: dict[str, bool | int | str] = Field(
        default_factory=dict,
        description="Arguments of the queue, where it has any: x-queue-type, x-max-length, "
        "x-dead-letter-exchange, ...",
    )
    app_id: str = Field(default="tidings", description="The property app_id of every message.")
    prefetch: int = Field(
        default=200,
        ge=1,
        le=65535,
        description="How many messages a consumer is sent ahead of its acknowledgements.",
    )
    heartbeat: int = Field(
        default=10,
        ge=0,
        le=65535,
        description="Seconds after which a silent connection counts as lost (0: never).",
    )
    connect_timeout: float = Field(
        default=10, gt=0, description="Seconds that connecting, and each set-up step, may take."
    )
    no_progress_timeout: float = Field(
        default=30,
        gt=0,
        description="Seconds without any progress after which a broker that owes us confirms "
        "counts as unavailable.",
    )
    blocked_connection_timeout: float = Field(
        default=60,
        gt=0,
        description="Seconds that the broker may block an idle connection (memory or disk alarm) "
        "before it is given up.",
    )

    @field_validator("url")
    @classmethod
    def _url_is_an_address(cls, url: SecretStr) -> SecretStr:
        _parse(url)
        return url

    @field_validator("app_id")
    @classmethod
    def _app_id_is_short(cls, app_id: str) -> str:
        if len(app_id.encode()) > SHORT_STRING:
            raise ValueError(f"has more than {SHORT_STRING} bytes")
        return app_id

    @model_validator(mode="after")
    def _the_settings_go_together(self) -> Self:
        self.require_tls_if_set(self.address, "amqps")
        if self.resume == "tail" and not self.lock:
            raise ValueError("resume = 'tail' needs the lock; leave lock at true")
        if self.resume == "tail" and self.queue_arguments.get("x-queue-type", "classic") != (
            "classic"
        ):
            raise ValueError(
                "resume = 'tail' loses events with a queue that is not classic; use the backend "
                "rabbitmq-stream, or resume = 'tracker'"
            )
        overflow = str(self.queue_arguments.get("x-overflow", ""))
        if self.resume == "tail" and overflow.startswith("reject-publish"):
            raise ValueError(
                "resume = 'tail' may lose events with a queue that refuses some; use the backend "
                "rabbitmq-stream, or resume = 'tracker'"
            )
        return self

    @cached_property
    def address(self) -> Address:
        """Where the broker is, and who we are there."""
        return _parse(self.url)

    @property
    def declared_arguments(self) -> dict[str, bool | int | str]:
        """The arguments to declare a queue with; with the tail none may become a quorum queue."""
        classic = {"x-queue-type": "classic"} if self.resume == "tail" else {}
        return {**classic, **self.queue_arguments}


def _parse(url: SecretStr) -> Address:
    return parse_address(url, ("amqp", 5672), ("amqps", 5671))
