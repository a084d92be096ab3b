"""The real servers that the tests talk to, on private ports and in folders of their own."""

from tests.servers.activemq import ActiveMQ
from tests.servers.certificates import Certificates, KeyPair
from tests.servers.mariadb import MariaDB
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgresql import PostgreSQL
from tests.servers.process import ServerFailedError, free_port, new_directory
from tests.servers.prometheus import Prometheus
from tests.servers.rabbitmq import RabbitMQ
from tests.servers.redis import Redis
from tests.servers.server import Server

__all__ = [
    "ActiveMQ",
    "Certificates",
    "KeyPair",
    "MariaDB",
    "PgBouncer",
    "PostgreSQL",
    "Prometheus",
    "RabbitMQ",
    "Redis",
    "Server",
    "ServerFailedError",
    "free_port",
    "new_directory",
]
