from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.command import Project


def test_init_leaves_something_that_works_at_once(empty: Project) -> None:
    empty.succeed("init")
    empty.append_numbers(1, 2)

    result = empty.succeed("spread")

    assert len(result.lines) == 2
    assert result.err == "2 notification(s) sent!\n"


@pytest.mark.parametrize("producer", ["jsonlines", "rabbitmq", "activemq", "zeromq"])
def test_init_writes_a_commented_configuration_for_each_producer(
    empty: Project, producer: str
) -> None:
    empty.succeed("init", "--producer", producer)

    text = (empty.folder / "tidings.toml").read_text()
    assert tomllib.loads(text)["exchanges"]["my-bc-app"]["producer"] == producer
    assert text.count("\n#") > 3
    empty.succeed("status")


def test_init_writes_a_file_that_its_owner_alone_may_read(empty: Project) -> None:
    empty.succeed("init")

    assert (empty.folder / "tidings.toml").stat().st_mode & 0o777 == 0o600


def test_a_second_init_changes_nothing_and_says_so(empty: Project) -> None:
    empty.succeed("init")
    before = (empty.folder / "tidings.toml").read_text()

    result = empty.run("init", "--producer", "rabbitmq")

    assert result.code == 1
    assert "exists already" in result.err
    assert (empty.folder / "tidings.toml").read_text() == before


def test_init_for_an_unknown_producer_writes_nothing(empty: Project) -> None:
    result = empty.run("init", "--producer", "rabitmq")

    assert result.code == 2
    assert "Did you mean 'rabbitmq'?" in result.err
    assert not (empty.folder / "tidings.toml").exists()


def test_a_setting_without_a_default_is_not_shown_as_an_empty_text(empty: Project) -> None:
    empty.succeed("init", "--producer", "rabbitmq")

    text = (empty.folder / "tidings.toml").read_text()
    assert "\n# ca_file = …    (not set)\n" in text
    assert '\n# ca_file = ""' not in text
