"""The settings of the ``rabbitmq`` backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from tidings_rabbitmq.broker_settings import BrokerSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHORT_STRING = 255
"""Bytes that an AMQP short string holds."""


def _by_name(queues: Any) -> Any:
    """Return queues without keys of their own as those that have some are written."""
    is_list = isinstance(queues, list) and all(isinstance(name, str) for name in queues)
    return {name: [] for name in queues} if is_list else queues


_ShortString = Annotated[str, Field(max_length=SHORT_STRING)]


class RabbitMQSettings(BrokerSettings):
    """What ``[producers.<name>]`` may say for ``rabbitmq``."""

    plain: ClassVar[tuple[str, int]] = ("amqp", 5672)
    tls: ClassVar[tuple[str, int]] = ("amqps", 5671)

    url: SecretStr = Field(
        description="amqp://user:password@host:5672/virtual-host, or amqps:// for TLS (port 5671). "
        "Several nodes of a cluster, host1:5672,host2:5672, are tried in turn.",
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
        description="How many messages may be in flight that are not confirmed, or not tracked: "
        "the most that a killed relay sends again.",
    )
    exchange_type: Literal["fanout", "topic", "direct", "headers"] = Field(
        default="fanout",
        description="The type of the exchange on the broker, which cannot be changed later: who "
        "gets a message by its routing key ('topic', 'direct'), by its headers, or all of them.",
    )
    bindings: list[_ShortString] | None = Field(
        default=None,
        min_length=1,
        description="Routing keys that the queues are bound with which tidings declares: "
        "['shop.order.*']. Without it: every message, which 'direct' cannot say.",
    )
    queues: Annotated[dict[_ShortString, list[_ShortString]], BeforeValidator(_by_name)] | None = (
        Field(
            default=None,
            description="Subscribers' queues that are declared and bound: ['billing', 'audit'], or "
            "with routing keys of their own {billing = ['shop.order.*']}. Without it: one queue, "
            "of the exchange's name. []: none.",
        )
    )
    topology: Literal["declare", "check", "none"] = Field(
        default="declare",
        description="'declare': exchange, queues and bindings are made. 'check': nothing is made; "
        "opening looks whether it is there. 'none': no look either.",
    )
    unroutable: Literal["fail", "ignore"] = Field(
        default="fail",
        description="What a message does that reaches no queue: it is an error, or is counted, "
        "and passed.",
    )
    queue_arguments: dict[str, bool | int | str] = Field(
        default_factory=dict,
        description="Arguments of the queue, if it has any: x-queue-type, x-max-length, "
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
    blocked_connection_timeout: float = Field(
        default=60,
        gt=0,
        description="Seconds that the broker may block an idle connection (memory or disk alarm) "
        "before it is given up.",
    )

    @field_validator("app_id")
    @classmethod
    def _app_id_is_short(cls, app_id: str) -> str:
        if len(app_id.encode()) > SHORT_STRING:
            raise ValueError(f"has more than {SHORT_STRING} bytes")
        return app_id

    @field_validator("queues")
    @classmethod
    def _queues_have_names(cls, queues: dict[str, list[str]] | None) -> dict[str, list[str]] | None:
        if queues and "" in queues:
            raise ValueError("a queue's name is empty")
        return queues

    @model_validator(mode="after")
    def _routing_goes_together(self) -> Self:
        has_keys = self.bindings or any((self.queues or {}).values())
        if has_keys and not self.has_keys:
            raise ValueError(
                f"an exchange_type = {self.exchange_type!r} knows no routing keys to bind with; "
                "bindings are for 'topic' and 'direct'"
            )
        if self.topology == "declare" and any(not keys for keys in self.wanted("").values()):
            raise ValueError(
                "exchange_type = 'direct' has no word for every message; say with bindings which "
                "routing keys the queues are for"
            )
        if self.resume == "tail" and self.topology != "declare":
            raise ValueError("resume = 'tail' needs queues of its own; leave topology at 'declare'")
        if self.resume == "tail" and self.exchange_type not in {"fanout", "topic"}:
            raise ValueError(
                "resume = 'tail' needs every message, which exchange_type = 'fanout' and 'topic' "
                "can give it; use resume = 'tracker'"
            )
        return self

    @model_validator(mode="after")
    def _the_settings_go_together(self) -> Self:
        if self.resume == "tail" and not self.lock:
            raise ValueError("resume = 'tail' needs the lock; leave lock at true")
        if self.resume == "tail" and len(self.addresses) > 1:
            raise ValueError(
                "resume = 'tail' may lose events in a cluster, so url names one host; use the "
                "backend rabbitmq-stream, or resume = 'tracker'"
            )
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

    @property
    def has_keys(self) -> bool:
        """Whether a queue can be bound to the exchange by routing key."""
        return self.exchange_type in {"topic", "direct"}

    def wanted(self, exchange_name: str) -> Mapping[str, Sequence[str]]:
        """Return the queues of an exchange, and the routing keys that each is bound with."""
        names = self.queues if self.queues is not None else {exchange_name: []}
        return {name: self.keys_of(name) for name in names}

    def keys_of(self, queue_name: str) -> Sequence[str]:
        """Return what a queue is bound with; nothing if that has to be said, and nobody did."""
        if not self.has_keys:
            return [queue_name]  # which the exchange doesn't look at
        everything = ["#"] if self.exchange_type == "topic" else []
        return (self.queues or {}).get(queue_name) or self.bindings or everything

    @property
    def declared_arguments(self) -> dict[str, bool | int | str]:
        """The arguments to declare a queue with; with the tail none may become a quorum queue."""
        classic = {"x-queue-type": "classic"} if self.resume == "tail" else {}
        return {**classic, **self.queue_arguments}
