"""A client cannot make the server wait, grow, talk, or keep others out."""

from __future__ import annotations

import json
import socket
import time
from contextlib import ExitStack, closing
from http import HTTPStatus
from typing import TYPE_CHECKING

import pytest

from tests.servers import free_port
from tidings import TidingsError
from tidings.config.address import ListenAddress
from tidings.health import server as server_module
from tidings.health.answer import as_json
from tidings.health.server import serving
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tidings.health.answer import PageAnswer

SECRET = "geheim"


def well(_accept: str) -> PageAnswer:
    return as_json(HTTPStatus.OK, {"well": True, "foreign": "\n\x7f\u202e\ud800"})


def broken(_accept: str) -> PageAnswer:
    raise ValueError(SECRET)


@pytest.fixture
def address() -> Iterator[ListenAddress]:
    address = ListenAddress("127.0.0.1", free_port())
    with serving(address, {"/well": well, "/broken": broken}):
        yield address


def connect(address: ListenAddress) -> socket.socket:
    return socket.create_connection(address, timeout=30)


def answered(connection: socket.socket) -> bytes:
    """Return all that comes until the server closes."""
    found = b""
    try:
        while more := connection.recv(65536):
            found += more
    except ConnectionError:
        pass
    return found


def asked(address: ListenAddress, request: str) -> tuple[int, str, str]:
    """Return status, head and body."""
    with closing(connect(address)) as connection:
        connection.sendall(request.encode())
        head, _, body = answered(connection).decode().partition("\r\n\r\n")
    return int(head.split()[1]), head, body


def test_a_page_is_json_with_everything_foreign_escaped(address: ListenAddress) -> None:
    status, head, body = asked(address, "GET /well?x=1 HTTP/1.1\r\nHost: x\r\n\r\n")

    assert status == HTTPStatus.OK
    assert json.loads(body) == {"well": True, "foreign": "\n\x7f\u202e\ud800"}
    assert body.replace("\n", "").isprintable()
    assert body.isascii()
    assert "Content-Type: application/json" in head
    assert "Python" not in head


def test_a_head_request_gets_no_body(address: ListenAddress) -> None:
    status, head, body = asked(address, "HEAD /well HTTP/1.1\r\n\r\n")

    assert (status, body) == (HTTPStatus.OK, "")
    assert "Content-Length: " in head


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        ("GET /nothing HTTP/1.1", HTTPStatus.NOT_FOUND),
        ("GET /../etc/passwd HTTP/1.1", HTTPStatus.NOT_FOUND),
        ("POST /well HTTP/1.1", HTTPStatus.METHOD_NOT_ALLOWED),
        ("DELETE /well HTTP/1.1", HTTPStatus.METHOD_NOT_ALLOWED),
        ("GET /well HTTP/1.1\r\nContent-Length: 5", HTTPStatus.BAD_REQUEST),
        ("GET /well HTTP/1.1\r\nTransfer-Encoding: chunked", HTTPStatus.BAD_REQUEST),
        ("GET /well HTTP/9.9", HTTPStatus.HTTP_VERSION_NOT_SUPPORTED),
        ("GET /<script> x HTTP/1.1", HTTPStatus.BAD_REQUEST),
    ],
)
def test_what_is_refused_is_refused_with_nothing_of_it_said_again(
    address: ListenAddress, request_line: str, expected: HTTPStatus
) -> None:
    status, head, body = asked(address, f"{request_line}\r\n\r\n")

    assert status == expected
    assert json.loads(body)["there_is"] == ["/well", "/broken"]
    assert "passwd" not in head + body
    assert "script" not in head + body
    assert ("Allow: GET, HEAD" in head) == (expected == HTTPStatus.METHOD_NOT_ALLOWED)


@pytest.mark.parametrize("begin", [b"GET /", b"GET /well HTTP/1.1\r\nX: "])
def test_an_endless_request_is_cut_off(address: ListenAddress, begin: bytes) -> None:
    with closing(connect(address)) as connection:
        connection.sendall(begin + b"x" * (server_module.LARGEST_REQUEST + 1))

        assert b"200 OK" not in answered(connection)


def test_a_page_that_fails_says_nothing_of_why(
    address: ListenAddress, caplog: pytest.LogCaptureFixture
) -> None:
    status, _, body = asked(address, "GET /broken HTTP/1.1\r\n\r\n")

    assert status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert SECRET not in body
    assert "/broken could not be answered" in caplog.text


def test_of_too_many_clients_that_never_end_their_request_the_oldest_is_let_go(
    address: ListenAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "LONGEST_SILENCE", 170)
    monkeypatch.setattr(server_module, "LONGEST_CONNECTION", 170)
    with ExitStack() as stack:
        silent = [
            stack.enter_context(closing(connect(address)))
            for _ in range(server_module.MOST_CONNECTIONS)
        ]
        for connection in silent:
            connection.sendall(b"GET /well HTT")

        assert asked(address, "GET /well HTTP/1.1\r\n\r\n")[0] == HTTPStatus.OK
        assert answered(silent[0]) == b""  # at once, not when its time is up


def test_a_client_that_sends_a_little_at_a_time_is_cut_off(
    address: ListenAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "LONGEST_CONNECTION", 0.5)

    def is_cut_off() -> bool:
        try:
            connection.sendall(b"X")
        except ConnectionError:
            return True
        return False

    with closing(connect(address)) as connection:
        connection.sendall(b"GET /well HTTP/1.1\r\n")
        eventually(is_cut_off, seconds=30)


def test_an_address_that_is_taken_is_told_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = ListenAddress(*taken.getsockname())

        with pytest.raises(TidingsError, match=r"127\.0\.0\.1:\d+ .*in use. Another relay"):
            serving(address, {}).__enter__()


def test_a_host_that_there_is_not_is_told_in_a_sentence() -> None:
    with pytest.raises(TidingsError, match=r"nowhere\.invalid:80 .*Name an address of"):
        serving(ListenAddress("nowhere.invalid", 80), {}).__enter__()


def test_it_is_reached_by_ipv6_too_and_is_gone_at_the_end() -> None:
    address = ListenAddress("::1", free_port())
    with serving(address, {"/well": well}):
        assert asked(address, "GET /well HTTP/1.1\r\n\r\n")[0] == HTTPStatus.OK

    with pytest.raises(ConnectionRefusedError):
        connect(address)


def test_the_end_waits_for_no_client(address: ListenAddress) -> None:
    other = ListenAddress("127.0.0.1", free_port())
    with ExitStack() as stack:
        begun = time.monotonic()
        with serving(other, {"/well": well}):
            connection = stack.enter_context(closing(connect(other)))
            connection.sendall(b"GET /well HTT")

        assert time.monotonic() - begun < server_module.LONGEST_SILENCE
