"""A way to RabbitMQ on which the broker's answers can be held back."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from types import TracebackType

_PUBLISH = b"\x00\x3c\x00\x28"  # class and method of basic.publish


class Gate:
    """Passes everything on; once armed, no answers from the first message on, until opened."""

    def __init__(self, url: str, limit: int) -> None:
        parts = urlsplit(url)
        self._broker = (parts.hostname or "", parts.port or 5672)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = parts._replace(netloc=f"guest:guest@127.0.0.1:{port}").geturl()
        self.limit_reached = threading.Event()
        self.limit_passed = threading.Event()
        self._limit = limit
        self._armed = threading.Event()
        self._open = threading.Event()
        self._open.set()

    def arm(self) -> None:
        """Count messages, and hold answers back, from now on."""
        self._armed.set()

    def open(self) -> None:
        """Let the answers through."""
        self._armed.clear()
        self._open.set()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.open()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                broker = socket.create_connection(self._broker)
                threading.Thread(target=self._ask, args=(client, broker), daemon=True).start()
                threading.Thread(target=self._answer, args=(broker, client), daemon=True).start()

    def _ask(self, client: socket.socket, broker: socket.socket) -> None:
        counted = b""
        with suppress(OSError):
            while data := client.recv(65536):
                if self._armed.is_set():
                    counted += data
                    self._count(counted.count(_PUBLISH))
                broker.sendall(data)
            broker.shutdown(socket.SHUT_WR)

    def _answer(self, broker: socket.socket, client: socket.socket) -> None:
        with broker, client, suppress(OSError):
            while data := broker.recv(65536):
                self._open.wait()
                client.sendall(data)

    def _count(self, published: int) -> None:
        if published:
            self._open.clear()
        if published >= self._limit:
            self.limit_reached.set()
        if published > self._limit:
            self.limit_passed.set()
