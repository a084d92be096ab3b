"""The example plugin, as somebody meets it who installs it beside tidings."""

from __future__ import annotations

import ast
import json
import shutil
import uuid
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import redis
from typing_extensions import override

from tests.examples.conftest import EXAMPLES
from tests.servers import Certificates, Redis, new_directory
from tests.servers.given import missing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.packaging.conftest import Environment
    from tests.servers.certificates import KeyPair
    from tests.servers.given import Broker

PACKAGING = pytest.mark.packaging

COUNT = 1000

EVENTS = "".join(
    json.dumps({"type_name": "OrderPlaced", "body": {"n": n}, "aggregate_id": f"order-{n % 7}"})
    + "\n"
    for n in range(1, COUNT + 1)
)


class TlsRedis(Redis):
    """A Redis that takes TLS only."""

    name: ClassVar[str] = "Redis with TLS"

    def __init__(self, directory: Path, pair: KeyPair) -> None:
        super().__init__(directory)
        self.pair = pair

    @property
    @override
    def url(self) -> str:
        return f"rediss://localhost:{self.port}/0"

    @override
    def command(self) -> Sequence[str | Path]:
        plain = list(super().command())
        plain[plain.index("--port")] = "--tls-port"
        return [
            *plain,
            *("--port", "0", "--tls-auth-clients", "no"),
            *("--tls-cert-file", self.pair.certificate, "--tls-key-file", self.pair.key),
        ]

    @override
    def ready(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, ssl_cert_reqs="none") as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False


@pytest.fixture
def tls_redis() -> Iterator[Callable[..., TlsRedis]]:
    """Give a function that starts a Redis with TLS."""
    if reason := Redis.available():
        missing(reason)
    started: list[TlsRedis] = []

    def start(pair: KeyPair) -> TlsRedis:
        server = TlsRedis(new_directory(), pair)
        started.append(server)
        server.start()
        return server

    yield start
    for server in started:
        server.stop()
        shutil.rmtree(server.directory)


def configure(environment: Environment, **settings: Any) -> str:
    """Select the plugin for a new exchange over a new event store; return the exchange's name."""
    exchange_name = f"redis-{uuid.uuid4().hex[:12]}"
    lines = [
        f'[event_store]\nurl = "sqlite:///{exchange_name}.db"\n',
        f'[exchanges.{exchange_name}]\nproducer = "redis"\n',
        "[producers.redis]",
        *(f"{name} = {json.dumps(value)}" for name, value in settings.items()),
    ]
    (environment.folder / "tidings.toml").write_text("\n".join(lines) + "\n")
    environment.tidings("init", "--tables")
    return exchange_name


def entries(url: str, exchange_name: str) -> list[tuple[str, dict[str, str]]]:
    with redis.Redis.from_url(url, protocol=2, decode_responses=True) as client:
        found: Any = client.xrange(exchange_name)
        return list(found)


@PACKAGING
@pytest.mark.timeout(600)
def test_events_reach_redis_by_one_word_of_the_configuration(
    installed: Environment, redis_server: Broker
) -> None:
    exchange_name = configure(installed, url=redis_server.url)
    installed.tidings("append", stdin=EVENTS)

    assert installed.tidings("spread") == f"{COUNT} notification(s) sent!\n"
    assert installed.tidings("spread") == "0 notification(s) sent!\n"

    found = entries(redis_server.url, exchange_name)
    assert [entry_id for entry_id, _ in found] == [f"0-{n}" for n in range(1, COUNT + 1)]
    assert [json.loads(fields["body"]) for _, fields in found] == [
        {"n": n} for n in range(1, COUNT + 1)
    ]
    assert {fields["type"] for _, fields in found} == {"OrderPlaced"}
    assert found[0][1]["aggregate_id"] == "order-1"

    lines = installed.tidings("listen", "--count", str(COUNT), "--timeout", "30").splitlines()
    assert [json.loads(line)["body"]["n"] for line in lines] == list(range(1, COUNT + 1))

    installed.tidings("replay", exchange_name, "--from", str(COUNT - 2))
    assert installed.tidings("spread").endswith(" notification(s) sent!\n")
    replayed = [entry_id for entry_id, _ in entries(redis_server.url, exchange_name)][COUNT:]
    generation, _, event_id = replayed[-1].partition("-")
    assert (int(generation) > 0, event_id) == (True, str(COUNT))


@PACKAGING
@pytest.mark.timeout(600)
def test_it_is_listed_with_its_distribution(installed: Environment) -> None:
    plugins = json.loads(installed.tidings("plugins", "--json"))["plugins"]

    (found,) = (plugin for plugin in plugins if plugin["name"] == "redis")
    assert found == {
        "name": "redis",
        "distribution": "tidings-redis",
        "version": "0.1.0",
        "kinds": ["producer", "consumer"],
        "problem": None,
    }


@PACKAGING
@pytest.mark.timeout(600)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_its_own_suite_passes(installed: Environment, redis_server: Broker, example: Path) -> None:
    source = installed.folder.parent / example.name
    shown = installed.python("-m", "pytest", "-q", "-c", f"{source}/pyproject.toml", str(source))

    assert " passed" in shown, shown
    assert "redis-server is not installed" not in shown


@PACKAGING
@pytest.mark.timeout(600)
def test_tls_is_used_and_the_certificate_checked(
    installed: Environment, certificates: Certificates, tls_redis: Callable[..., TlsRedis]
) -> None:
    authority, other = str(certificates.authority), str(certificates.other_authority)
    good = tls_redis(certificates.server).url

    configure(installed, url=good, ca_file=authority)
    installed.tidings("append", stdin=EVENTS)
    assert installed.tidings("spread") == f"{COUNT} notification(s) sent!\n"

    for settings in (
        {"url": good, "ca_file": other},
        {"url": good},
        {"url": tls_redis(certificates.wrong_host).url, "ca_file": authority},
        {"url": tls_redis(certificates.expired).url, "ca_file": authority},
    ):
        exchange_name = configure(installed, **settings)
        installed.tidings("append", stdin=EVENTS)
        problem = installed.fails("spread")
        assert f"Redis does not answer for exchange '{exchange_name}'" in problem
        assert "certificate verify failed" in problem


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_it_uses_only_what_is_meant_for_authors(example: Path) -> None:
    imported = set()
    for path in example.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module)
            elif isinstance(node, ast.Import):
                imported.update(alias.name for alias in node.names)

    of_tidings = {name for name in imported if name.split(".")[0] == "tidings"}
    assert of_tidings == {"tidings.plugins", "tidings.testing"}
