"""A small HTTP server, which no client can make wait, grow or talk."""

from __future__ import annotations

import errno
import socket
import sys
import time
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.client import LineTooLong
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tidings.errors import TidingsError
from tidings.health.answer import as_json
from tidings.shown import escaping_logger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.config.address import ListenAddress
    from tidings.health.answer import Page, PageAnswer, Pages

log = escaping_logger(__name__)

MOST_CONNECTIONS = 16
"""At a time. One more takes the place of the oldest: who holds them all keeps nobody out."""
LONGEST_CONNECTION = 15.0
LONGEST_SILENCE = 5.0
LARGEST_REQUEST = 16_384
LOOK_AGAIN = 0.25


@contextmanager
def serving(address: ListenAddress, pages: Pages) -> Iterator[None]:
    """Answer GET and HEAD at ``address``, in threads of its own, inside of ``with``.

    Each page is called for each request, with its ``Accept``, from any thread, several at a time.
    Raises
    :class:`~tidings.errors.TidingsError` if nothing can listen there.
    """
    server = _listening(address, pages)
    thread = Thread(
        target=server.serve_forever, args=[LOOK_AGAIN], name="tidings-http", daemon=True
    )
    thread.start()
    log.info("answers at http://%s: %s", address, ", ".join(pages))
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _listening(address: ListenAddress, pages: Pages) -> _Server:
    try:
        found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return _Server(found[0][0], found[0][4], pages)
    except OSError as error:
        remedy = (
            "Another relay or another program has that port: choose another one."
            if error.errno == errno.EADDRINUSE
            else "Name an address of this machine, and a port that this user may listen at."
        )
        raise TidingsError(
            f"Cannot listen at {address} (`http` in [relay]): {error.strerror or error}. {remedy}"
        ) from error


class _Server(ThreadingTCPServer):
    allow_reuse_address = True  # a relay that is started again; not one beside another
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, family: int, address: Any, pages: Pages) -> None:
        self.address_family = family
        self.pages = pages
        self._lock = Lock()
        self._open: dict[socket.socket, float] = {}
        super().__init__(address, _Handler)

    @override
    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; hang up on the oldest connection if there are too many."""
        with self._lock:
            if len(self._open) >= MOST_CONNECTIONS:
                self._hang_up(next(iter(self._open)))
            self._open[request] = time.monotonic() + LONGEST_CONNECTION
        super().process_request(request, client_address)

    @override
    def close_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().close_request(request)

    @override
    def service_actions(self) -> None:
        """Hang up on those that last too long, however little they send or read at a time."""
        now = time.monotonic()
        with self._lock:
            for request in [each for each, until in self._open.items() if until < now]:
                self._hang_up(request)

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of it in the log; it is one client's."""
        log.debug("a request could not be answered: %s", sys.exception())

    def _hang_up(self, request: socket.socket) -> None:
        del self._open[request]
        with suppress(OSError):  # whoever reads or writes it is woken, and closes it
            request.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    sys_version = ""
    server_version = "tidings"

    @override
    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(LONGEST_SILENCE)
        self.rfile = _Bounded(self.rfile)  # type: ignore[assignment]

    @override
    def handle(self) -> None:
        with suppress(OSError, LineTooLong):  # whoever asked has gone, or never ends
            super().handle()

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path.partition("?")[0])
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.send_error(HTTPStatus.BAD_REQUEST)
        elif page is None:
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            self._send(self._made_by(page))

    do_HEAD = do_GET  # noqa: N815

    @override
    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Say what is wrong, and nothing of what was sent."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            code = HTTPStatus.METHOD_NOT_ALLOWED
        said = {"error": HTTPStatus(code).phrase, "there_is": list(self.server.pages)}
        self._send(as_json(HTTPStatus(code), said))

    @override
    def version_string(self) -> str:
        return self.server_version

    @override
    def log_message(self, format: str, *args: Any) -> None:
        log.debug(format, *args)

    def _made_by(self, page: Page) -> PageAnswer:
        try:
            return page(self.headers.get("Accept", ""))
        except Exception:
            log.exception("%s could not be answered", self.path)
            return as_json(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": "see the relay's log"})

    def _send(self, answer: PageAnswer) -> None:
        self.close_connection = True
        self.request_version = self.protocol_version  # of what was no request, too
        self.send_response(answer.status)
        if answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)


class _Bounded:
    """Reads the lines of a request, and not more than one may have."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._left = LARGEST_REQUEST

    def readline(self, size: int) -> bytes:
        line: bytes = self._file.readline(min(size, self._left + 1))
        self._left -= len(line)
        if self._left < 0:
            raise LineTooLong("request")
        return line

    def close(self) -> None:
        self._file.close()
