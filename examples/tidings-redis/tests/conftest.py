"""A Redis of our own on a free port, with a password; it keeps nothing, and ends with the tests."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator

import pytest
import redis

PASSWORD = "not-for-everybody"
START_SECONDS = 30


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="session")
def redis_address() -> Iterator[tuple[str, int]]:
    """Give the host and port of a running Redis."""
    command = shutil.which("redis-server")
    if command is None:
        missing = "redis-server is not installed: install your distribution's Redis server."
        if os.environ.get("TIDINGS_REQUIRE_SERVERS"):
            pytest.fail(missing)
        pytest.skip(missing)
    port = free_port()
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            [
                *(command, "--port", str(port), "--bind", "127.0.0.1", "--dir", folder),
                *("--save", "", "--appendonly", "no", "--requirepass", PASSWORD),
            ],
            stdout=subprocess.DEVNULL,
        ) as process,
    ):
        try:
            wait_until_ready(process, port)
            yield "127.0.0.1", port
        finally:
            process.terminate()


def wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    with redis.Redis(port=port, password=PASSWORD) as client:
        while True:
            try:
                client.ping()
            except redis.ConnectionError:
                assert process.poll() is None, "redis-server ended at once"
                assert time.monotonic() < deadline, "redis-server does not get ready"
                time.sleep(0.02)
            else:
                return


@pytest.fixture
def url(redis_address: tuple[str, int]) -> str:
    """Give that Redis' URL."""
    host, port = redis_address
    return f"redis://:{PASSWORD}@{host}:{port}/0"


@pytest.fixture
def client(url: str) -> Iterator[redis.Redis]:
    """Give the library's own client: what it reads has not gone through our code."""
    with redis.Redis.from_url(url, protocol=2) as client:
        yield client
