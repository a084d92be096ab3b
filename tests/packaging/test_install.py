"""What a user gets who installs the wheel with an extra."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text

from tests.packaging.conftest import ROOT, Environment
from tests.servers import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers.given import Broker, DatabaseServer, StreamBroker

    Fresh = Callable[..., Environment]

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(600)]


def pythons() -> dict[str, str]:
    """Return each Python of this machine that tidings is for, from the path or else from pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found: dict[str, str] = {}
    for version in ("3.11", "3.12", "3.13", "3.14"):
        on_path = shutil.which(f"python{version}")
        there = [on_path] if on_path else []
        for python in [*there, *map(str, pyenv.glob(f"versions/*/bin/python{version}"))]:
            # pyenv puts a program on the path that may have no Python behind it.
            asked = subprocess.run([python, "--version"], capture_output=True, check=False)
            if asked.returncode == 0:
                found.setdefault(version, python)
    return found


PYTHONS = pythons()
EVENTS = "".join(json.dumps({"type_name": "A", "body": {"n": n}}) + "\n" for n in range(20))


def states(environment: Environment) -> dict[str, str | None]:
    """Return each backend and what is wrong with it."""
    found = json.loads(environment.tidings("plugins", "--json"))["plugins"]
    return {plugin["name"]: plugin["problem"] for plugin in found}


def configure(environment: Environment, producer: str, **settings: object) -> None:
    lines = [
        '[event_store]\nurl = "sqlite:///events.db"\n',
        f'[exchanges.packaged]\nproducer = "{producer}"\n',
        f"[producers.{producer}]",
        *(f"{name} = {json.dumps(value)}" for name, value in settings.items()),
    ]
    (environment.folder / "tidings.toml").write_text("\n".join(lines) + "\n")
    environment.tidings("init", "--tables")
    environment.tidings("append", stdin=EVENTS)


def received(environment: Environment) -> list[int]:
    lines = environment.tidings("listen", "--count", "20", "--timeout", "20").splitlines()
    return [json.loads(line)["body"]["n"] for line in lines]


def test_without_extras_the_embedded_default_works_and_names_what_to_install(
    fresh: Fresh, wheel: Path
) -> None:
    environment = fresh()
    environment.pip_install(str(wheel))

    configure(environment, "jsonlines", path="out.jsonl")

    assert environment.tidings("spread") == "20 notification(s) sent!\n"
    assert "pip install 'tidings[rabbitmq]'" in (states(environment)["rabbitmq"] or "")
    assert "pip install 'tidings[rabbitmq]'" in environment.tidings("plugins")
    assert "pip install 'tidings[zeromq]'" in environment.fails("demo", str(ROOT))
    libraries = {"pika", "stomp.py", "pyzmq", "rstream", "psycopg", "pymysql", "prometheus_client"}
    assert not environment.installed() & libraries


def test_the_rabbitmq_extra_gives_a_working_command(
    fresh: Fresh, wheel: Path, rabbitmq: StreamBroker
) -> None:
    environment = fresh()
    environment.pip_install(f"{wheel}[rabbitmq]")

    configure(environment, "rabbitmq", url=rabbitmq.url)

    assert environment.tidings("spread") == "20 notification(s) sent!\n"
    assert received(environment) == list(range(20))
    assert states(environment)["rabbitmq"] is None
    assert "tidings[activemq]" in (states(environment)["activemq"] or "")


def test_the_activemq_extra_gives_a_working_command(
    fresh: Fresh, wheel: Path, activemq: Broker
) -> None:
    environment = fresh()
    environment.pip_install(f"{wheel}[activemq]")

    configure(environment, "activemq", url=activemq.url)

    assert environment.tidings("spread") == "20 notification(s) sent!\n"
    assert received(environment) == list(range(20))


def test_the_zeromq_extra_gives_a_working_command_and_the_demo(fresh: Fresh, wheel: Path) -> None:
    environment = fresh()
    environment.pip_install(f"{wheel}[zeromq]")

    configure(environment, "zeromq", bind=f"tcp://127.0.0.1:{free_port()}")

    listener = subprocess.Popen(
        [environment.folder / "bin" / "tidings", "listen", "--count", "20", "--timeout", "30"],
        cwd=environment.folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert environment.tidings("spread") == "20 notification(s) sent!\n"
    out, _ = listener.communicate(timeout=60)
    assert [json.loads(line)["body"]["n"] for line in out.splitlines()] == list(range(20))
    assert "0 lost, 0 sent twice" in environment.tidings("demo", str(a_repository(environment)))


@pytest.mark.parametrize(("extra", "server"), [("postgresql", "postgresql"), ("mysql", "mariadb")])
def test_a_database_extra_gives_a_working_event_store(
    fresh: Fresh, wheel: Path, extra: str, server: str, request: pytest.FixtureRequest
) -> None:
    database: DatabaseServer = request.getfixturevalue(server)
    url = database.new_database()
    if extra == "mysql":
        url = for_a_user_with_a_password(url)
    environment = fresh()
    environment.pip_install(f"{wheel}[{extra}]")

    (environment.folder / "tidings.toml").write_text(
        f'[event_store]\nurl = "{url}"\n[exchanges.x]\nproducer = "jsonlines"\n'
        '[producers.jsonlines]\npath = "out.jsonl"\n'
    )
    environment.tidings("init", "--tables")
    environment.tidings("append", stdin=EVENTS)

    assert environment.tidings("spread") == "20 notification(s) sent!\n"


def for_a_user_with_a_password(url: str) -> str:
    """Make a user with the server's default way to check a password; return their URL."""
    engine = create_engine(url)
    user = f"u_{engine.url.database}"
    with engine.begin() as connection:
        # On this machine, too, MariaDB's nameless user goes before one from anywhere.
        for name in (f"{user}@'%'", f"{user}@'localhost'"):
            connection.execute(text(f"CREATE USER {name} IDENTIFIED BY 's3cret'"))
            connection.execute(text(f"GRANT ALL ON {engine.url.database}.* TO {name}"))
    engine.dispose()
    # Without TLS, which some versions of the driver would use, and then need no library.
    theirs = engine.url.set(username=user, password="s3cret")
    theirs = theirs.update_query_dict({"ssl_disabled": "true"})
    return theirs.render_as_string(hide_password=False)


@pytest.mark.parametrize("version", PYTHONS)
def test_everything_installs_on_each_python_of_the_machine(
    fresh: Fresh, wheel: Path, version: str
) -> None:
    environment = fresh(PYTHONS[version])
    environment.pip_install(f"{wheel}[all,postgresql,mysql]")

    configure(environment, "jsonlines", path="out.jsonl")

    assert environment.tidings("spread") == "20 notification(s) sent!\n"
    assert set(states(environment).values()) == {None}


def a_repository(environment: Environment) -> Path:
    """Return a git repository with a few commits."""
    folder = environment.folder / "repository"
    folder.mkdir()
    git = ["git", "-C", str(folder), "-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    for n in range(6):
        (folder / "file").write_text(str(n))
        subprocess.run([*git, "add", "file"], check=True)
        subprocess.run([*git, "commit", "-q", "-m", str(n)], check=True)
    return folder
