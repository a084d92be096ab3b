"""The settings of ``redis-store``, the same for the event store and the tracker."""

from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from tidings.plugins import Settings


class RedisStoreSettings(Settings):
    """What ``[event_store]`` and ``[tracker]`` may say for ``redis-store``."""

    url: SecretStr = Field(
        description="redis://user:password@host:6379/0",
        examples=["redis://localhost:6379/0"],
    )
    prefix: str = Field(
        default="tidings", min_length=1, description="What the names of all keys begin with."
    )
    timeout: float = Field(
        default=10, gt=0, description="Seconds after which a silent Redis counts as unavailable."
    )

    @field_validator("url")
    @classmethod
    def _url_is_an_address(cls, url: SecretStr) -> SecretStr:
        try:
            parts = urlsplit(url.get_secret_value())
            good = parts.scheme == "redis" and parts.hostname and parts.port != 0
        except ValueError:  # its text would show a piece of the URL, perhaps of the password
            good = False
        if not good or parts.query:
            raise ValueError("must look like redis://user:password@host:6379/0, without a query")
        return url

    @property
    def address(self) -> str:
        """Where Redis is, for people: no user, no password."""
        parts = urlsplit(self.url.get_secret_value())
        return f"{parts.hostname}:{parts.port or 6379}"
