"""RabbitMQ, with its own epmd, for tests."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from tests.servers.process import answers, free_port, listens, run, spawn
from tests.servers.server import Server

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence

    from tests.servers.certificates import Certificates

# The scripts here run as the user who calls them; the ones in /usr/sbin change user.
PACKAGED_SCRIPTS = Path("/usr/lib/rabbitmq/bin")
AMQP_QUESTION, AMQP_ANSWER = b"AMQP\0\0\t\1", b"\1"  # answered by a method frame
# The stream protocol's PeerProperties: key 17, version 1, correlation id 1, no properties.
STREAM_QUESTION = struct.pack(">IHHII", 12, 17, 1, 1, 0)
STREAM_ANSWER = struct.pack(">HHIH", 0x8011, 1, 1, 1)  # after the frame's length; code 1 is OK
_ACTOR = '<<"tests">>'  # whom the node notes as having changed something
CTL_PORTS = range(22_000, 32_000)  # rabbitmqctl takes the first that is free


class RabbitMQ(Server):
    """A RabbitMQ node for `guest`, reachable from this machine only."""

    name: ClassVar[str] = "RabbitMQ"

    def __init__(
        self,
        directory: Path,
        *,
        tls: Certificates | None = None,
        stream: bool = False,
        extra_config: str = "",
    ) -> None:
        """Configure the node: `amqps` with `tls`, streams with `stream`, lines of rabbitmq.conf."""
        super().__init__(directory)
        self.tls = tls
        self.stream = stream
        self.extra_config = extra_config
        self.port = free_port()
        self.tls_port = free_port()
        self.stream_port = free_port()
        self._distribution_port = free_port()
        self._epmd_port = free_port()
        self._epmd: subprocess.Popen[bytes] | None = None

    @staticmethod
    @override
    def available() -> str | None:
        """Return None if RabbitMQ is installed, else what to install."""
        if _script("rabbitmq-server") and shutil.which("epmd"):
            return None
        return "RabbitMQ is not installed: install the package rabbitmq-server"

    @property
    @override
    def url(self) -> str:
        """The address for AMQP without TLS."""
        return self.url_for("guest", "guest")

    @property
    def tls_url(self) -> str:
        """The address for AMQP over TLS, by the name that the certificate holds."""
        return f"amqps://guest:guest@localhost:{self.tls_port}/"

    @property
    def stream_url(self) -> str:
        """The address for the stream protocol."""
        return f"rabbitmq-stream://guest:guest@127.0.0.1:{self.stream_port}/"

    def url_for(self, user: str, password: str) -> str:
        """Return the address for AMQP without TLS, as another user."""
        return f"amqp://{user}:{password}@127.0.0.1:{self.port}/"

    def ctl(self, *arguments: str) -> str:
        """Run `rabbitmqctl` on this node and return its output; takes most of a second."""
        return run(
            [_script("rabbitmqctl") or "rabbitmqctl", "--quiet", *arguments],
            environment=self.environment(),
            directory=self.directory,
        )

    def add_user(self, user: str, password: str, *, configure: str, write: str, read: str) -> str:
        """Make a user with these permissions (regular expressions of names); return its URL."""
        self._eval(_user(user, password), _permissions(user, "/", configure, write, read))
        return self.url_for(user, password)

    def add_vhost(self, name: str, password: str, limits: Mapping[str, int]) -> str:
        """Make a virtual host with these limits, and its user of the same name; return its URL."""
        limited = f"{_binary(name)}, {_binary(json.dumps(limits))}, {_ACTOR}"
        self._eval(
            f"rabbit_vhost:add({_binary(name)}, {_ACTOR})",
            _user(name, password),
            _permissions(name, name, ".*", ".*", ".*"),
            f"rabbit_vhost_limit:parse_set({limited})",
        )
        return self.url_for(name, password) + name

    def _eval(self, *calls: str) -> None:
        """Let the node make these calls, by one `rabbitmqctl`: its start alone takes long."""
        self.ctl("eval", ", ".join(f"ok = {call}" for call in calls) + ".")

    @override
    def prepare(self) -> None:
        """Write the configuration and start epmd."""
        for folder in ("log", "mnesia", "conf.d"):
            (self.directory / folder).mkdir(exist_ok=True)
        plugins = "[rabbitmq_stream]." if self.stream else "[]."
        (self.directory / "enabled_plugins").write_text(plugins + "\n")
        (self.directory / "rabbitmq.conf").write_text("\n".join(self._config()) + "\n")
        self._stop_epmd()  # the name of a node that was just killed may still stand in it
        self._start_epmd()

    @override
    def command(self) -> Sequence[str | Path]:
        """Return the server's script, which becomes the Erlang machine."""
        return [_script("rabbitmq-server") or "rabbitmq-server"]

    @override
    def ready(self) -> bool:
        """Ask over AMQP, over the stream protocol if it is on, and see that TLS's port is."""
        if self.tls and not listens(self.tls_port):
            return False
        if not answers(self.port, AMQP_QUESTION, AMQP_ANSWER):
            return False
        return not self.stream or answers(self.stream_port, STREAM_QUESTION, STREAM_ANSWER, skip=4)

    @override
    def stop(self) -> None:
        """End the node, and its epmd."""
        super().stop()
        self._stop_epmd()

    @override
    def environment(self) -> dict[str, str]:
        """Return the variables that keep the node in its folder and on its ports."""
        folder = self.directory
        return super().environment() | {
            "RABBITMQ_NODENAME": f"tidings{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_CTL_DIST_PORT_MIN": str(CTL_PORTS[0]),
            "RABBITMQ_CTL_DIST_PORT_MAX": str(CTL_PORTS[-1]),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_CONFIG_FILES": str(folder / "conf.d"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            # Makes the script exec the Erlang machine: the child's pid is the broker's.
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
            ),
        }

    def _config(self) -> list[str]:
        lines = [
            f"listeners.tcp.default = 127.0.0.1:{self.port}",
            "num_acceptors.tcp = 2",
            "loopback_users.guest = true",
            "log.console = false",
            "disk_free_limit.absolute = 50MB",
        ]
        if self.stream:
            lines += [
                f"stream.listeners.tcp.1 = 127.0.0.1:{self.stream_port}",
                "stream.advertised_host = 127.0.0.1",
                f"stream.advertised_port = {self.stream_port}",
            ]
        if self.tls:
            lines += [
                f"listeners.ssl.default = 127.0.0.1:{self.tls_port}",
                f"ssl_options.cacertfile = {self.tls.authority}",
                f"ssl_options.certfile = {self.tls.server.certificate}",
                f"ssl_options.keyfile = {self.tls.server.key}",
                "ssl_options.verify = verify_peer",
                "ssl_options.fail_if_no_peer_cert = false",
            ]
        return [*lines, self.extra_config]

    def _stop_epmd(self) -> None:
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
            self._epmd = None

    def _start_epmd(self) -> None:
        """Run epmd as our child, lest the node starts one that nobody ends."""
        port = str(self._epmd_port)
        self._epmd = spawn(
            ["epmd", "-port", port, "-address", "127.0.0.1"],
            environment=self.environment(),
            directory=self.directory,
            output=self.output,
        )
        names = struct.pack(">HB", 1, ord("n"))
        own_port = struct.pack(">I", self._epmd_port)
        from tidings.testing import eventually  # noqa: PLC0415 - loads pytest, which benchmarks do without

        eventually(lambda: answers(self._epmd_port, names, own_port), "epmd", 60.0)


def _binary(text: str) -> str:
    """Return the text as Erlang writes it."""
    return f"<<{json.dumps(text)}>>"


def _user(name: str, password: str) -> str:
    return f"rabbit_auth_backend_internal:add_user({_binary(name)}, {_binary(password)}, {_ACTOR})"


def _permissions(user: str, vhost: str, configure: str, write: str, read: str) -> str:
    words = ", ".join(map(_binary, (user, vhost, configure, write, read)))
    return f"rabbit_auth_backend_internal:set_permissions({words}, {_ACTOR})"


def _script(name: str) -> Path | None:
    packaged = PACKAGED_SCRIPTS / name
    if packaged.exists():
        return packaged
    found = shutil.which(name)
    return Path(found) if found else None
