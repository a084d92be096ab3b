"""Each server starts, answers its own client, keeps what is durable, freezes and thaws."""

from __future__ import annotations

import queue
import shutil
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pika
import psutil
import psycopg
import pymysql
import pytest
import redis
import stomp
from sqlalchemy import create_engine, inspect, make_url

from tests.conftest import servers
from tests.servers import (
    ActiveMQ,
    Certificates,
    MariaDB,
    PostgreSQL,
    RabbitMQ,
    Redis,
    Server,
    ServerFailedError,
    free_port,
    new_directory,
)
from tests.servers.given import GivenRabbitMQ, missing
from tests.servers.process import OUR_PORTS, is_gone
from tests.servers.rabbitmq import CTL_PORTS
from tidings.testing import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.servers.given import DatabaseServer

ROOT = Path(__file__).parents[2]


class Listener(stomp.ConnectionListener):  # type: ignore[misc]  # stomp.py has no types
    """Collects what the broker sends: (command, headers or body)."""

    def __init__(self) -> None:
        self.frames: queue.Queue[tuple[str, str]] = queue.Queue()

    def on_message(self, frame: Any) -> None:
        self.frames.put(("MESSAGE", frame.body))

    def on_receipt(self, frame: Any) -> None:
        self.frames.put(("RECEIPT", frame.headers["receipt-id"]))

    def on_error(self, frame: Any) -> None:
        self.frames.put(("ERROR", frame.headers["message"]))

    def next(self) -> tuple[str, str]:
        return self.frames.get(timeout=20)


def stomp_connection(url: str) -> tuple[Any, Listener]:
    address = make_url(url)
    connection = stomp.Connection12([(address.host, address.port)])
    listener = Listener()
    connection.set_listener("", listener)
    connection.connect(address.username, address.password, wait=True)
    return connection, listener


def rabbitmq_put(server: Server, text: str) -> None:
    with pika.BlockingConnection(pika.URLParameters(server.url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        channel.queue_declare("kept", durable=True)
        properties = pika.BasicProperties(delivery_mode=2)
        channel.basic_publish("", "kept", text.encode(), properties, mandatory=True)


def rabbitmq_get(server: Server) -> str:
    with pika.BlockingConnection(pika.URLParameters(server.url)) as connection:
        _, _, body = connection.channel().basic_get("kept", auto_ack=True)
        return str(body.decode())


def activemq_put(server: Server, text: str) -> None:
    connection, listener = stomp_connection(server.url)
    connection.send("/queue/kept", text, persistent="true", receipt="kept")
    assert listener.next() == ("RECEIPT", "kept")
    connection.disconnect()


def activemq_get(server: Server) -> str:
    connection, listener = stomp_connection(server.url)
    connection.subscribe("/queue/kept", id="1", ack="auto")
    command, body = listener.next()
    assert command == "MESSAGE"
    connection.disconnect()
    return body


def postgresql_put(server: Server, text: str) -> None:
    with psycopg.connect(dsn(server)) as connection:
        connection.execute("CREATE TABLE kept AS SELECT %s AS text", (text,))


def postgresql_get(server: Server) -> str:
    with psycopg.connect(dsn(server)) as connection:
        row = connection.execute("SELECT text FROM kept").fetchone()
        assert row
        return str(row[0])


def dsn(server: Server) -> str:
    return make_url(server.url).set(drivername="postgresql").render_as_string(hide_password=False)


def mariadb_connection(server: Server) -> pymysql.Connection[Any]:
    port = make_url(server.url).port
    assert port
    return pymysql.connect(host="127.0.0.1", port=port, user="root", database="mysql")


def mariadb_put(server: Server, text: str) -> None:
    with mariadb_connection(server) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept ENGINE=InnoDB AS SELECT %s AS text", (text,))
        connection.commit()


def mariadb_get(server: Server) -> str:
    with mariadb_connection(server) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT text FROM kept")
        row = cursor.fetchone()
        assert row
        return str(row[0])


def redis_put(server: Server, text: str) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.set("kept", text)


def redis_get(server: Server) -> str:
    with redis.Redis.from_url(server.url, decode_responses=True) as client:
        return str(client.get("kept"))


CLIENTS: dict[type[Server], tuple[Callable[[Server, str], None], Callable[[Server], str]]] = {
    RabbitMQ: (rabbitmq_put, rabbitmq_get),
    ActiveMQ: (activemq_put, activemq_get),
    PostgreSQL: (postgresql_put, postgresql_get),
    MariaDB: (mariadb_put, mariadb_get),
    Redis: (redis_put, redis_get),
}


@pytest.fixture(scope="module", params=CLIENTS, ids=lambda kind: kind.name)
def server(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[Server]:
    """Give a server of each kind in turn, which this module alone uses."""
    kind = request.param
    options = {"tls": certificates} if kind in (RabbitMQ, ActiveMQ) else {}
    with servers(kind) as start:
        yield start(**options)


@pytest.mark.chaos
def test_a_killed_server_keeps_its_durable_data_and_its_address(server: Server) -> None:
    put, get = CLIENTS[type(server)]
    url = server.url
    put(server, "über 1")
    # RabbitMQ's queue, unlike its messages, may be lost in a kill right after a node's first start.
    server.restart()

    server.kill()
    server.start()

    assert get(server) == "über 1"
    assert server.url == url


@pytest.mark.chaos
def test_a_frozen_server_is_silent_until_it_is_thawed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("tests.servers.process.PROBE_SECONDS", 0.3)
        server.freeze()
        assert not server.ready()
        server.thaw()

    eventually(server.ready, f"{server.name} to answer", 60)


@pytest.mark.parametrize("server", [RabbitMQ, ActiveMQ], indirect=True)
def test_a_broker_over_tls_is_trusted_through_its_own_authority_only(
    server: RabbitMQ | ActiveMQ, certificates: Certificates
) -> None:
    assert handshake(server.tls_url, certificates.authority) is None
    refusal = handshake(server.tls_url, certificates.other_authority)

    assert refusal
    assert "self-signed certificate in certificate chain" in refusal


@pytest.mark.parametrize(
    ("flaw", "reason"), [("expired", "expired"), ("wrong_host", "Hostname mismatch")]
)
def test_a_server_can_present_a_bad_certificate(
    own_activemq: Callable[..., ActiveMQ], certificates: Certificates, flaw: str, reason: str
) -> None:
    broker = own_activemq(tls=certificates.presenting(getattr(certificates, flaw)))

    refusal = handshake(broker.tls_url, certificates.authority)

    assert refusal
    assert reason in refusal


def handshake(url: str, authority: Path) -> str | None:
    """Return None after a TLS handshake, else why the certificate was refused."""
    address = make_url(url)
    context = ssl.create_default_context(cafile=authority)
    with socket.create_connection(("127.0.0.1", address.port or 0), 10) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=address.host):
                return None
        except ssl.SSLCertVerificationError as error:
            return error.verify_message


LINUX_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")


@pytest.mark.skipif(not LINUX_PORTS.exists(), reason="Linux names the ports of connections there")
def test_the_port_of_a_killed_server_is_given_to_no_outgoing_connection() -> None:
    first_of_connections = int(LINUX_PORTS.read_text().split()[0])
    assert OUR_PORTS[-1] < CTL_PORTS[0] < CTL_PORTS[-1] < first_of_connections
    assert free_port() in OUR_PORTS


def test_activemqs_reader_may_not_write(own_activemq: Callable[..., ActiveMQ]) -> None:
    connection, listener = stomp_connection(own_activemq().reader_url)
    connection.send("/queue/closed", "text", receipt="1")

    command, message = listener.next()

    assert command == "ERROR"
    assert "not authorized to write" in message


@pytest.mark.parametrize("server", [RabbitMQ], indirect=True)
def test_rabbitmqs_users_have_the_permissions_they_are_given(server: RabbitMQ) -> None:
    url = server.add_user("reader", "secret", configure="^$", write="^$", read=".*")

    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="ACCESS_REFUSED"):
            channel.queue_declare("forbidden")


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_new_databases_are_separate(request: pytest.FixtureRequest, kind: str) -> None:
    database_server: DatabaseServer = request.getfixturevalue(kind)

    first, second = database_server.new_database(), database_server.new_database()

    assert make_url(first).database != make_url(second).database


def test_the_fixtures_database_is_empty(database_url: str) -> None:
    engine = create_engine(database_url)

    tables = inspect(engine).get_table_names()

    engine.dispose()
    assert tables == []


def test_a_server_that_cannot_start_says_why(own_postgresql: Callable[..., PostgreSQL]) -> None:
    with pytest.raises(ServerFailedError, match="unrecognized configuration parameter"):
        own_postgresql(settings=["no_such_setting=1"])


@pytest.mark.chaos
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of a parent's death")
def test_servers_die_with_a_session_that_is_killed() -> None:
    if reason := Redis.available():
        missing(reason)
    program = (
        "import sys, signal; from pathlib import Path; from tests.servers import Redis\n"
        "server = Redis(Path(sys.argv[1])); server.start()\n"
        "print(server.pid, flush=True); signal.pause()"
    )
    directory = new_directory()
    command = [sys.executable, "-c", program, str(directory)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as session:
        assert session.stdout
        orphan = psutil.Process(int(session.stdout.readline()))

        session.kill()

        eventually(lambda: is_gone(orphan), "the end", 60)
    shutil.rmtree(directory)


def test_a_missing_server_skips_unless_servers_are_required(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TIDINGS_REQUIRE_SERVERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="install it"):
        missing("install it")

    monkeypatch.setenv("TIDINGS_REQUIRE_SERVERS", "1")
    with pytest.raises(pytest.fail.Exception, match="install it"):
        missing("install it")


def test_a_given_rabbitmq_has_its_streams_on_the_usual_port() -> None:
    given = GivenRabbitMQ("amqp://guest:guest@broker.example:5672/", None)

    assert given.stream_url == "rabbitmq-stream://guest:guest@broker.example:5552/"


def test_the_run_ends_with_what_was_skipped_and_why(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_terminal_summary\n")
    (tmp_path / "test_skipping.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('number', [1, 2])\n"
        "def test_skipped(number): pytest.skip('no broker: install one')\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-o", f"pythonpath={ROOT}", str(tmp_path)]

    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert "2 tests: no broker: install one" in run.stdout
