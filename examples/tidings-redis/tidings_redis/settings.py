"""The settings of the ``redis`` backend."""

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from tidings.plugins import Settings


class RedisSettings(Settings):
    """What ``[producers.<name>]`` may say for ``redis``."""

    url: SecretStr = Field(
        description="redis://user:password@host:6379/0, or rediss:// for TLS.",
        examples=["redis://localhost:6379/0"],
    )
    ca_file: Path | None = Field(
        default=None,
        description="Certificates to trust with rediss://, in PEM; the system's without it.",
    )
    stream: str = Field(default="{exchange}", description="What an exchange's stream is called.")
    maxlen: int | None = Field(
        default=None,
        ge=1,
        description="About how many entries a stream keeps: what is cut off is gone for "
        "subscribers that have not read it. Without it, all.",
    )
    batch_size: int = Field(
        default=500, ge=1, description="How many events make a transaction, at most."
    )
    subscriber: str = Field(
        default="app",
        min_length=1,
        description="The consumer group that is read for a subscriber without a name.",
    )
    timeout: float = Field(
        default=10, gt=0, description="Seconds after which a silent Redis counts as unavailable."
    )

    @field_validator("url")
    @classmethod
    def _url_is_an_address(cls, url: SecretStr) -> SecretStr:
        try:
            parts = urlsplit(url.get_secret_value())
            good = parts.scheme in ("redis", "rediss") and parts.hostname and parts.port != 0
        except ValueError:  # its text would show a piece of the URL, perhaps of the password
            good = False
        if not good or parts.query:
            raise ValueError("must look like redis://user:password@host:6379/0, without a query")
        return url

    @field_validator("stream")
    @classmethod
    def _each_exchange_has_a_stream(cls, stream: str) -> str:
        if "{exchange}" not in stream:
            raise ValueError("must hold {exchange}: two exchanges cannot share a stream")
        return stream

    def stream_of(self, exchange_name: str) -> str:
        """Return the name of an exchange's stream."""
        return self.stream.replace("{exchange}", exchange_name)

    @property
    def address(self) -> str:
        """Where Redis is, for people: no user, no password."""
        parts = urlsplit(self.url.get_secret_value())
        return f"{parts.hostname}:{parts.port or 6379}"
