"""Where the broker is, and how long it may take: settings that both backends share."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar, Self

from pydantic import Field, SecretStr, field_validator, model_validator

from tidings_rabbitmq.address import Address, parse_addresses
from tidings_rabbitmq.tls import TlsSettings


class BrokerSettings(TlsSettings):
    """How to reach the broker, by URLs that begin as the backend says."""

    plain: ClassVar[tuple[str, int]]
    """The scheme of a URL without TLS, and its usual port."""
    tls: ClassVar[tuple[str, int]]
    """The same with TLS."""

    url: SecretStr
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
        parse_addresses(url, cls.plain, cls.tls)
        return url

    @model_validator(mode="after")
    def _tls_is_used_if_set(self) -> Self:
        self.require_tls_if_set(self.address, self.tls[0])
        return self

    @cached_property
    def addresses(self) -> tuple[Address, ...]:
        """Where the broker is, and who we are there; several for the nodes of a cluster."""
        return parse_addresses(self.url, self.plain, self.tls)

    @property
    def address(self) -> Address:
        """The first of them."""
        return self.addresses[0]
