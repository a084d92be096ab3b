"""No secret is in any text that a configuration leads to."""

from __future__ import annotations

import traceback
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from rich.pretty import pretty_repr

from tidings import ConfigurationError, Tidings, TidingsError
from tidings.config import Table

# Begins so that it is found nowhere by chance.
secrets = st.text(st.characters(codec="utf-8", exclude_characters="\0")).map("s3cret-".__add__)


def everything_shown(secret: str, text: str) -> str:
    """Load a configuration that is full of problems, and return all that is said of it."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tidings.toml"
        path.write_text(text, encoding="utf-8")
        try:
            tidings = Tidings.from_file(
                path, environ={"SECRET": secret, "QUOTED": quote(secret, safe="")}
            )
        except ConfigurationError as error:
            return "".join(traceback.format_exception(error)) + repr(error)
        return shown(tidings)


def shown(tidings: Tidings) -> str:
    found = [repr(tidings), f"{tidings.configuration}", pretty_repr(tidings.configuration)]
    for exchange in tidings.configuration.exchanges:
        try:
            route = tidings.route(exchange)
            found += [repr(route), pretty_repr(vars(route.producer))]
        except TidingsError as error:
            found.append("".join(traceback.format_exception(error)) + repr(error))
    return "\n".join(found)


@pytest.mark.parametrize(
    "text",
    [
        (
            '[event_store]\nurl = "postgresql://app:${QUOTED}@127.0.0.1/db"\n'
            '[exchanges.a]\nproducer = "rabbitmq"\n'
            '[producers.rabbitmq]\nurl = "amqp://app:${QUOTED}@127.0.0.1/"'
        ),
        (
            '[event_store]\nurl = "${SECRET}"\n[exchanges.a]\nproducer = "rabbitmq"\n'
            '[producers.rabbitmq]\nurl = "${SECRET}"'
        ),
        (
            '[event_store]\nurl = "mysql://app:${SECRET}@127.0.0.1:port/db"\n'
            '[exchanges.a]\nproducer = "activemq"\n'
            '[producers.activemq]\nurl = "stomp://app:${SECRET}@127.0.0.1:port"'
        ),
        (
            '[event_store]\nurl = "sqlite:///x.db"\npassword = "${SECRET}"\n'
            '[exchanges.a]\nproducer = "zeromq"\nbatch_size = "${SECRET}"\n'
            'on_poison = "${SECRET}"\n'
            '[producers.zeromq]\nbind = "tcp://127.0.0.1:1"\ncurve_secret_key = "${SECRET}"\n'
            '[relay]\nlease_seconds = "${SECRET}"'
        ),
        (
            '[exchanges.a]\nproducer = "jsonlines"\nevents = [["${SECRET}"]]\n'
            '[producers.jsonlines]\npath = ["${SECRET}"]\nbackend = ["${SECRET}"]'
        ),
    ],
)
@settings(max_examples=30)
@given(secret=secrets)
@example(secret="hunter2-${HUNTER2}-hunter2")
@example(secret='quote"and\\back\nslash')
def test_no_error_and_no_repr_holds_a_secret(text: str, secret: str) -> None:
    said = everything_shown(secret, text)

    assert secret not in said
    assert repr(secret)[1:-1] not in said
    assert quote(secret, safe="") not in said


def test_an_override_that_cannot_be_read_shows_nothing_of_itself(tmp_path: Path) -> None:
    path = tmp_path / "tidings.toml"
    path.touch()
    environ = {
        "TIDINGS_EVENT_STORE__URL": "postgresql://app:${HUNTER2}@h/db",
        "TIDINGS_X__Y": "s3cret",
    }

    with pytest.raises(ConfigurationError) as caught:
        Tidings.from_file(path, environ=environ)

    assert "HUNTER2" not in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_table_shows_its_keys_and_never_a_value() -> None:
    table = Table.model_validate({"backend": "rabbitmq", "url": "s3cret", "user": "s3cret"})

    class Holder(BaseModel):
        table: Table

    for text in (repr(table), str(table), pretty_repr(table), repr(Holder(table=table))):
        assert "s3cret" not in text
        assert "url" in text
