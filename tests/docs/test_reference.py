"""The pages that the code writes, and those that lean on them."""

from __future__ import annotations

import re
import subprocess
import sys

import click
import pytest

import tidings
from tests.docs.pages import ROOT, text_of
from tidings.cli.main import COMMANDS
from tidings.cli.main import tidings as command_line
from tidings.config.exchange import Exchange
from tidings.config.relay import RelaySettings

REFERENCE = ROOT / "docs" / "reference"
TROUBLE = text_of(ROOT / "docs" / "troubleshooting.md")
AT_LENGTH = 220
"""Characters of a sentence that has more to say than a log should hold."""
QUOTED = re.findall(r"^> (.*(?:\n> .*)*)", TROUBLE, re.MULTILINE)


def test_what_the_code_writes_is_as_new_as_the_code() -> None:
    command = [sys.executable, "-m", "scripts.reference", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_command_and_every_option_is_there() -> None:
    page = text_of(REFERENCE / "commands.md")
    for name in COMMANDS:
        assert f"## tidings {name}\n" in page
        command = command_line.get_command(click.Context(command_line), name)
        assert command is not None
        for parameter in command.params:
            for option in (each for each in parameter.opts if each.startswith("--")):
                assert f"`{option}" in page or f", {option}" in page, option


def test_every_setting_of_exchanges_and_relay_is_there_with_its_default() -> None:
    page = text_of(REFERENCE / "settings.md")
    for model in (Exchange, RelaySettings):
        for name in model.model_fields:
            assert f"| `{name}` | " in page
    assert "| `batch_size` | whole number from 1 to 100000 | `1000` |" in page
    assert '| `on_poison` | `stop`, `quarantine` | `"stop"` |' in page


@pytest.mark.parametrize("backend", ["rabbitmq", "rabbitmq-stream", "activemq", "zeromq"])
def test_the_settings_of_a_backend_are_there(backend: str) -> None:
    assert f"\n## {backend}\n" in text_of(REFERENCE / "settings.md")


def test_no_setting_shows_a_secret_or_how_python_writes_a_value() -> None:
    page = text_of(REFERENCE / "settings.md")
    assert [word for word in ("SecretStr", "None", "True", "False", "<") if word in page] == []


def test_every_name_for_applications_is_on_a_page_of_the_reference() -> None:
    plugins = text_of(ROOT / "docs" / "plugin-reference.md")
    text = "\n".join([*map(text_of, REFERENCE.glob("*.md")), plugins])
    headings = set(re.findall(r"^##+ (\w+)$", text, re.MULTILINE))
    functions = set(re.findall(r"^- `(\w+)\(", plugins, re.MULTILINE))

    assert set(tidings.__all__) - headings - functions == set()


def test_an_errors_sentence_is_there_with_what_to_do() -> None:
    page = text_of(REFERENCE / "errors.md")

    assert "- … refuses the login (…): check user and password in the url.\n" in page
    assert "- … refused the login: … Check user and password" not in page
    assert "- … refused the login: …. Check user and password in url" in page
    assert "Wait for it, or stop that relay.\n" in page


def _plain(text: str) -> str:
    return " ".join(text.replace("\n> ", " ").replace("\\", "").split()).rstrip(" …")


@pytest.mark.parametrize("sentence", QUOTED)
def test_trouble_begins_with_a_sentence_that_the_code_can_say(sentence: str) -> None:
    assert _plain(sentence) in _plain(text_of(REFERENCE / "errors.md"))


def test_the_page_of_trouble_quotes_sentences() -> None:
    assert len(QUOTED) > 10


def test_what_an_error_says_at_length_has_its_part_on_the_page_of_trouble() -> None:
    said = re.findall(r"^- (.*)$", text_of(REFERENCE / "errors.md"), re.MULTILINE)
    quoted = [_plain(sentence) for sentence in QUOTED]

    at_length = [_plain(each) for each in said if len(_plain(each)) > AT_LENGTH]
    assert len(at_length) > 5
    assert [each for each in at_length if not any(one in each for one in quoted)] == []
