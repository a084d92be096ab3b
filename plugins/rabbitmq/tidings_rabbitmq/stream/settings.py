"""The settings of the ``rabbitmq-stream`` backend."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, SecretStr

from tidings_rabbitmq.broker_settings import BrokerSettings


class RabbitMQStreamSettings(BrokerSettings):
    """What ``[producers.<name>]`` may say for ``rabbitmq-stream``."""

    plain: ClassVar[tuple[str, int]] = ("rabbitmq-stream", 5552)
    tls: ClassVar[tuple[str, int]] = ("rabbitmq-stream+tls", 5551)

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
        description="How many messages may be in flight that are not confirmed.",
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
