"""The settings of the ``rabbitmq-stream`` backend."""

from __future__ import annotations

from functools import cached_property
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from tidings_rabbitmq.address import Address, parse_addresses
from tidings_rabbitmq.tls import TlsSettings


class RabbitMQStreamSettings(TlsSettings):
    """What ``[producers.<name>]`` may say for ``rabbitmq-stream``."""

    url: SecretStr = Field(
        description="rabbitmq-stream://user:password@host:5552/virtual-host, or "
        "rabbitmq-stream+tls:// for TLS (port 5551). Several nodes of a cluster, "
        "host1:5552,host2:5552, are tried in turn.",
        examples=["rabbitmq-stream://guest:guest@localhost:5552/"],
    )
    window: int = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="How many messages may be on their way without the broker's confirm.",
    )
    stream_arguments: dict[str, int | str] = Field(
        default_factory=dict,
        description="Arguments for a stream that is created: max-length-bytes, max-age "
        "('7D'), stream-max-segment-size-bytes, initial-cluster-size, ... A stream that exists "
        "is used as it is.",
    )
    app_id: str = Field(
        default="tidings",
        max_length=100,
        description="Begins the publisher's name, and is the app-id of every message.",
    )
    heartbeat: int = Field(
        default=30,
        ge=1,
        le=3600,
        description="Seconds between heartbeats; a connection that is silent for two of them "
        "counts as lost.",
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

    @field_validator("url")
    @classmethod
    def _url_is_an_address(cls, url: SecretStr) -> SecretStr:
        _parse(url)
        return url

    @model_validator(mode="after")
    def _the_settings_go_together(self) -> Self:
        self.require_tls_if_set(self.address, "rabbitmq-stream+tls")
        return self

    @cached_property
    def addresses(self) -> tuple[Address, ...]:
        """Where the broker is, and who we are there; several for the nodes of a cluster."""
        return _parse(self.url)

    @property
    def address(self) -> Address:
        """The first of them."""
        return self.addresses[0]


def _parse(url: SecretStr) -> tuple[Address, ...]:
    return parse_addresses(url, ("rabbitmq-stream", 5552), ("rabbitmq-stream+tls", 5551))
