"""amqps: trusted if it should be, refused if it shouldn't."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from tests.conftest import servers
from tests.rabbitmq.client import Client, send
from tests.servers import Certificates, RabbitMQ, new_directory
from tests.servers.process import free_port
from tidings.plugins import BrokerRefusedError
from tidings_rabbitmq.stream.producer import RabbitMQStreamProducer
from tidings_rabbitmq.stream.settings import RabbitMQStreamSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.rabbitmq.conftest import MakeProducer
    from tests.servers.certificates import KeyPair


STREAM_TLS_PORT = free_port()
STREAM_URL = f"rabbitmq-stream+tls://guest:guest@localhost:{STREAM_TLS_PORT}/"


class TlsBroker:
    """A broker whose certificate can be changed while it runs."""

    def __init__(self, server: RabbitMQ, certificates: Certificates) -> None:
        self.server = server
        self.certificates = certificates

    def present(self, pair: KeyPair) -> str:
        """Let the broker show this certificate from now on; return its URL."""
        assert self.server.tls is not None
        shutil.copy(pair.certificate, self.server.tls.server.certificate)
        shutil.copy(pair.key, self.server.tls.server.key)
        self.server.ctl("eval", "ssl:clear_pem_cache().")
        return self.server.tls_url


@pytest.fixture(scope="module")
def broker(certificates: Certificates) -> Iterator[TlsBroker]:
    directory = new_directory()
    shown = Certificates.create(directory).server
    with servers(RabbitMQ) as start:
        server = start(
            tls=certificates.presenting(shown),
            stream=True,
            extra_config=f"stream.listeners.ssl.1 = 127.0.0.1:{STREAM_TLS_PORT}",
        )
        yield TlsBroker(server, certificates)
    shutil.rmtree(directory)


def refused(make_producer: MakeProducer, url: str, **settings: Any) -> str:
    with pytest.raises(BrokerRefusedError) as raised:
        make_producer(url=url, **settings).open("orders")
    return str(raised.value)


def test_a_certificate_of_the_configured_authority_is_trusted(
    broker: TlsBroker, make_producer: MakeProducer, exchange: str
) -> None:
    url = broker.present(broker.certificates.server)
    producer = make_producer(url=url, ca_file=broker.certificates.authority)
    producer.open(exchange)
    body = b"x" * 1_000_000
    for event_id in range(1, 31):
        send(producer, exchange, event_id, body)
    producer.flush(exchange)

    with Client(broker.server.url) as client:
        assert [seen.body for seen in client.drain(exchange)] == [body] * 30


def test_our_own_certificate_is_shown_where_one_is_configured(
    broker: TlsBroker, make_producer: MakeProducer, exchange: str
) -> None:
    url = broker.present(broker.certificates.server)
    client = broker.certificates.client
    producer = make_producer(
        url=url,
        ca_file=broker.certificates.authority,
        certificate_file=client.certificate,
        key_file=client.key,
        heartbeat=0,  # nobody answers one while rabbitmqctl runs, however long that takes
    )
    producer.open(exchange)

    assert "CN=relay" in broker.server.ctl("list_connections", "peer_cert_subject")


def test_a_certificate_of_another_authority_is_refused(
    broker: TlsBroker, make_producer: MakeProducer
) -> None:
    url = broker.present(broker.certificates.server)
    text = refused(make_producer, url, ca_file=broker.certificates.other_authority)

    assert "certificate that is not to be trusted: self-signed certificate in" in text
    assert "Check ca_file" in text


def test_without_a_ca_file_only_the_systems_authorities_are_trusted(
    broker: TlsBroker, make_producer: MakeProducer
) -> None:
    url = broker.present(broker.certificates.server)

    assert "certificate that is not to be trusted" in refused(make_producer, url)


def test_a_certificate_for_another_host_is_refused(
    broker: TlsBroker, make_producer: MakeProducer
) -> None:
    url = broker.present(broker.certificates.wrong_host)
    text = refused(make_producer, url, ca_file=broker.certificates.authority)

    assert "Hostname mismatch" in text


def test_an_expired_certificate_is_refused(broker: TlsBroker, make_producer: MakeProducer) -> None:
    url = broker.present(broker.certificates.expired)
    text = refused(make_producer, url, ca_file=broker.certificates.authority)

    assert "certificate has expired" in text


def test_verification_is_never_off_silently(
    broker: TlsBroker,
    make_producer: MakeProducer,
    exchange: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    url = broker.present(broker.certificates.expired)
    producer = make_producer(url=url, verify=False)
    producer.open(exchange)
    send(producer, exchange, 1)
    producer.flush(exchange)

    assert "is not checked" in caplog.text


def test_tls_to_a_port_without_it_is_refused(
    broker: TlsBroker, make_producer: MakeProducer
) -> None:
    plain = f"amqps://guest:guest@localhost:{broker.server.port}/"
    text = refused(make_producer, plain, ca_file=broker.certificates.authority)

    assert "could not agree on TLS" in text


def test_no_tls_to_a_port_with_it_is_refused(
    broker: TlsBroker, make_producer: MakeProducer
) -> None:
    text = refused(make_producer, f"amqp://guest:guest@localhost:{broker.server.tls_port}/")

    assert "begin it with amqps://" in text


def test_a_file_that_is_no_certificate_is_refused(
    broker: TlsBroker, make_producer: MakeProducer
) -> None:
    text = refused(make_producer, broker.server.tls_url, ca_file=__file__)

    assert "ca_file, certificate_file or key_file cannot be used" in text


def test_a_stream_is_published_to_over_tls(broker: TlsBroker, exchange: str) -> None:
    broker.present(broker.certificates.server)
    producer = RabbitMQStreamProducer(
        RabbitMQStreamSettings(url=SecretStr(STREAM_URL), ca_file=broker.certificates.authority)
    )
    producer.open(exchange)
    body = b"x" * 500_000
    try:
        for event_id in range(1, 31):
            send(producer, exchange, event_id, body)
        producer.flush(exchange)
    finally:
        producer.close(exchange)

    with Client(broker.server.url) as client:
        assert [seen.body for seen in client.stream(exchange, 30)] == [body] * 30


def test_a_stream_with_a_certificate_of_another_authority_is_refused(broker: TlsBroker) -> None:
    broker.present(broker.certificates.server)
    authority = broker.certificates.other_authority
    producer = RabbitMQStreamProducer(
        RabbitMQStreamSettings(url=SecretStr(STREAM_URL), ca_file=authority)
    )

    with pytest.raises(BrokerRefusedError, match="certificate that is not to be trusted"):
        producer.open("orders")
