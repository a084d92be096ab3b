"""A STOMP client that shares no code with the plugin, nor with stomp.py: the independent eye."""

from __future__ import annotations

import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from types import TracebackType


NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
UNESCAPED = ((r"\n", "\n"), (r"\r", "\r"), (r"\c", ":"), ("\0", "\\"))


class Frame(NamedTuple):
    command: str
    headers: dict[str, str]
    body: bytes


class Client:
    """One session as another program would have it."""

    def __init__(self, url: str) -> None:
        self.url = url
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port or 61613), 5)
        self._buffer = b""
        self._start = 0
        self._sessions = 0
        self.send(
            "STOMP",
            {
                "accept-version": "1.2",
                "host": "/",
                "login": parts.username or "",
                "passcode": parts.password or "",
            },
        )
        answer = self.frame(5)
        assert answer is not None
        assert answer.command == "CONNECTED", answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def send(self, command: str, headers: dict[str, str], body: bytes = b"") -> None:
        lines = [command, *(f"{key}:{value}" for key, value in headers.items())]
        self._socket.sendall("\n".join(lines).encode() + b"\n\n" + body + b"\0")

    def request(self, command: str, headers: dict[str, str], body: bytes = b"") -> None:
        """Send, and wait until the broker has done it."""
        self.send(command, {**headers, "receipt": "done"}, body)
        answer = self.frame(10)
        assert answer is not None
        assert answer.command == "RECEIPT", answer

    def subscribe(self, destination: str, **headers: str) -> str:
        self._sessions += 1
        subscription = f"client-{self._sessions}"
        self.send(
            "SUBSCRIBE",
            {"id": subscription, "destination": destination, "ack": "client-individual"}
            | {key.replace("_", "-"): value for key, value in headers.items()},
        )
        return subscription

    def browse(self, queue: str) -> list[Frame]:
        """Return all that is in a queue, and take nothing."""
        subscription = self.subscribe(f"/queue/{queue}", browser="true", ack="auto")
        found = []
        while (frame := self.frame(10)) is not None:
            assert frame.command == "MESSAGE", frame
            if "browser" in frame.headers:
                break
            found.append(frame)
        self.send("UNSUBSCRIBE", {"id": subscription})
        return found

    def read(self, queue: str, count: int, seconds: float = 10.0) -> list[Frame]:
        """Take the next ``count`` messages out of a queue, or those that come in time."""
        # One by one, so that nothing is taken that is not returned.
        subscription = self.subscribe(f"/queue/{queue}", **{"activemq.prefetchSize": "1"})
        found: list[Frame] = []
        deadline = time.monotonic() + seconds
        while len(found) < count:
            frame = self.frame(max(deadline - time.monotonic(), 0.001))
            if frame is None:
                break
            assert frame.command == "MESSAGE", frame
            found.append(frame)
            self.send("ACK", {"id": frame.headers["ack"].replace(":", r"\c")})
        self.request("UNSUBSCRIBE", {"id": subscription})
        return found

    def read_fast(self, queue: str, count: int) -> list[Frame]:
        """Return ``count`` messages, and lose those that come behind them."""
        self.subscribe(f"/queue/{queue}", ack="auto", **{"activemq.prefetchSize": "5000"})
        found: list[Frame] = []
        while len(found) < count and (frame := self.frame(30)) is not None:
            found.append(frame)
        return found

    def frame(self, seconds: float) -> Frame | None:
        """Return the next frame, ``None`` when none comes in time."""
        deadline = time.monotonic() + seconds
        while (frame := self._cut_frame()) is None:
            self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                return None
            assert data, "the broker closed the connection"
            self._buffer, self._start = self._buffer[self._start :] + data, 0
        return frame

    def _cut_frame(self) -> Frame | None:
        while self._buffer.startswith(b"\n", self._start):
            self._start += 1
        end_of_head = self._buffer.find(b"\n\n", self._start)
        if end_of_head < 0:
            return None
        command, *lines = self._buffer[self._start : end_of_head].decode().split("\n")
        headers: dict[str, str] = {}
        for line in lines:
            key, _, value = line.partition(":")
            headers.setdefault(unescape(key), unescape(value))
        body = end_of_head + 2
        if "content-length" in headers:
            end = body + int(headers["content-length"])
        else:
            end = self._buffer.find(b"\0", body)
        if not 0 <= end < len(self._buffer):
            return None
        self._start = end + 1
        return Frame(command, headers, self._buffer[body:end])


def unescape(text: str) -> str:
    if "\\" not in text:
        return text
    text = text.replace("\\\\", "\0")
    for escaped, plain in UNESCAPED:
        text = text.replace(escaped, plain)
    return text


def escape(text: str) -> str:
    text = text.replace("\\", "\\\\")
    for escaped, plain in UNESCAPED[:3]:
        text = text.replace(plain, escaped)
    return text


def queue_of(exchange: str, subscriber: str = "app") -> str:
    return f"Consumer.{subscriber}.VirtualTopic.{exchange}"


def ids(messages: list[Frame]) -> list[int]:
    return [int(message.headers["event-id"]) for message in messages]
