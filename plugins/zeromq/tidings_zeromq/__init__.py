"""The zeromq backend of tidings, and its :class:`Subscriber` for applications.

Importing this package imports no broker library; using ``Subscriber`` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tidings_zeromq.subscriber import Subscriber

__all__ = ["Subscriber"]


def __getattr__(name: str) -> Any:
    if name == "Subscriber":
        from tidings_zeromq.subscriber import Subscriber  # noqa: PLC0415 - imports zmq

        return Subscriber
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
