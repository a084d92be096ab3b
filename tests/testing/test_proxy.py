"""The proxy does to a connection what it says, and nothing else."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tidings.testing import TcpProxy, eventually
from tidings.testing.proxy import THREAD_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator


class EchoServer:
    """Sends everything back, and remembers what it got."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.closed = False
        self.received = bytearray()
        self.ended: list[type[BaseException] | None] = []
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.listener.getsockname()
        return host, port

    def accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65536):
                    self.received += data
                    connection.sendall(data)
            except OSError as error:
                self.ended.append(type(error))
            else:
                self.ended.append(None)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()


@pytest.fixture
def server() -> Iterator[EchoServer]:
    server = EchoServer()
    yield server
    server.close()


@pytest.fixture
def proxy(server: EchoServer) -> Iterator[TcpProxy]:
    with TcpProxy(*server.address) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: TcpProxy) -> Iterator[socket.socket]:
    with socket.create_connection(proxy.address, timeout=10) as client:
        yield client


def echo(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    got = b""
    while len(got) < len(data):
        got += client.recv(65536)
    return got


def connect_and_read(proxy: TcpProxy) -> bytes:
    with socket.create_connection(proxy.address, timeout=10) as client:
        return client.recv(1)


def test_everything_is_carried_both_ways(client: socket.socket, proxy: TcpProxy) -> None:
    data = bytes(range(256)) * 40
    assert echo(client, data) == data
    assert proxy.connections == 1


def test_large_data_passes_while_both_sides_write(client: socket.socket) -> None:
    data = b"0123456789abcdef" * 500_000
    sender = threading.Thread(target=client.sendall, args=(data,))
    sender.start()
    got = bytearray()
    while len(got) < len(data):
        got += client.recv(65536)
    sender.join()
    assert bytes(got) == data


def test_a_frozen_connection_carries_nothing_until_it_is_thawed(
    client: socket.socket, proxy: TcpProxy, server: EchoServer
) -> None:
    echo(client, b"before")
    proxy.freeze()
    client.sendall(b"after")
    client.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.recv(100)
    assert bytes(server.received) == b"before"
    proxy.thaw()
    client.settimeout(10)
    assert client.recv(100) == b"after"


def test_a_new_connection_to_a_frozen_proxy_is_taken_and_hears_nothing(proxy: TcpProxy) -> None:
    proxy.freeze()
    with socket.create_connection(proxy.address, timeout=0.3) as client:
        client.sendall(b"hello")
        with pytest.raises(TimeoutError):
            client.recv(100)
        proxy.thaw()
        client.settimeout(10)
        assert client.recv(100) == b"hello"


def test_a_close_behind_a_freeze_is_not_heard_before_the_thaw(
    client: socket.socket, proxy: TcpProxy, server: EchoServer
) -> None:
    echo(client, b"before")
    proxy.freeze()
    client.sendall(b"after")
    client.close()
    assert (bytes(server.received), server.ended) == (b"before", [])
    proxy.thaw()
    eventually(lambda: len(server.ended) == 1, "the close", 60)
    assert bytes(server.received) == b"beforeafter"


def test_what_was_frozen_is_lost_when_cut(
    client: socket.socket, proxy: TcpProxy, server: EchoServer
) -> None:
    echo(client, b"before")
    proxy.freeze()
    client.sendall(b"lost")
    proxy.cut()
    proxy.thaw()
    with pytest.raises(ConnectionResetError):
        client.recv(100)
    eventually(lambda: len(server.ended) == 1, "the cut", 60)
    assert server.ended == [ConnectionResetError]
    assert bytes(server.received) == b"before"


def test_a_cut_resets_both_sides_at_once_and_takes_new_connections(
    client: socket.socket, proxy: TcpProxy, server: EchoServer
) -> None:
    echo(client, b"before")
    proxy.cut()
    assert proxy.connections == 0
    with pytest.raises(ConnectionResetError):
        client.recv(100)
    with socket.create_connection(proxy.address, timeout=10) as again:
        assert echo(again, b"again") == b"again"


def test_a_refusing_proxy_refuses_and_leaves_open_connections(
    client: socket.socket, proxy: TcpProxy
) -> None:
    echo(client, b"before")
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(proxy.address, timeout=10)
    assert echo(client, b"still") == b"still"
    proxy.admit()
    proxy.admit()
    with socket.create_connection(proxy.address, timeout=10) as again:
        assert echo(again, b"again") == b"again"


def test_nobody_else_is_given_the_port_of_a_refusing_proxy(proxy: TcpProxy) -> None:
    proxy.refuse()
    with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
        stranger.bind(proxy.address)
    proxy.admit()


def test_a_delay_is_waited_in_each_direction(client: socket.socket, proxy: TcpProxy) -> None:
    echo(client, b"before")
    proxy.delay(0.2)
    begun = time.monotonic()
    assert echo(client, b"slow") == b"slow"
    assert time.monotonic() - begun >= 0.4
    proxy.delay(0)
    begun = time.monotonic()
    assert echo(client, b"fast") == b"fast"
    assert time.monotonic() - begun < 0.2


def test_a_server_that_is_away_resets_the_client(server: EchoServer) -> None:
    with TcpProxy(*server.address) as proxy:
        server.close()
        with pytest.raises(ConnectionResetError):  # by connecting already, or by reading
            connect_and_read(proxy)


def test_a_client_that_goes_is_not_counted(client: socket.socket, proxy: TcpProxy) -> None:
    echo(client, b"before")
    client.close()
    eventually(lambda: proxy.connections == 0, "the proxy to notice", 60)


def test_closing_ends_its_threads(server: EchoServer) -> None:
    with TcpProxy(*server.address) as proxy:
        clients = [socket.create_connection(proxy.address) for _ in range(3)]
        eventually(lambda: proxy.connections == 3, "three connections", 60)
        proxy.freeze()
        clients[0].sendall(b"frozen")
    proxy.close()
    for each in clients:
        each.close()
    ours = [thread for thread in threading.enumerate() if thread.name.startswith(THREAD_PREFIX)]
    for thread in ours:
        thread.join(5)
    assert not [thread for thread in ours if thread.is_alive()]
