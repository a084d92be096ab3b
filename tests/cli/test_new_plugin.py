"""`tidings new-plugin`: what it writes works, but for what is to be written."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tidings.cli.new_plugin import KINDS, LONGEST_NAME

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command import Project

PASS_AT_ONCE = {
    f"{suite}.{test}"
    for suite in ("TestMyBrokerProducer", "TestMyBrokerConsumer")
    for test in (
        "test_importing_the_plugin_imports_no_library",
        "test_the_spec_was_written_for_this_interface",
        "test_settings_refuse_unknown_words",
        "test_settings_show_no_secret",
        "test_a_setting_that_is_wrong_is_told_without_its_secret",
    )
}


def run_tests(folder: Path) -> dict[str, str]:
    """Run the distribution's own tests; return what each failed or was skipped with."""
    report = folder / "report.xml"
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", f"--junit-xml={report}"],
        cwd=folder,
        env=with_path(folder),
        capture_output=True,
        check=False,
        timeout=150,
    )
    found = {}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - written by pytest just now
        problems = [each for tag in ("failure", "error", "skipped") for each in case.findall(tag)]
        suite = case.attrib["classname"].rpartition(".")[2]
        said = problems[0].attrib["message"] if problems else ""
        found[f"{suite}.{case.attrib['name']}"] = said
    return found


def with_path(folder: Path) -> dict[str, str]:
    paths = filter(None, [str(folder), os.environ.get("PYTHONPATH")])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def files(folder: Path) -> dict[str, str]:
    return {
        str(each.relative_to(folder)): each.read_text()
        for each in folder.rglob("*")
        if each.is_file()
    }


@pytest.mark.slow
def test_only_what_is_to_be_written_fails(empty: Project) -> None:
    result = empty.succeed("new-plugin", "my-broker")

    assert "pip install -e 'tidings-my-broker[test]'" in result.out
    found = run_tests(empty.folder / "tidings-my-broker")
    assert {name for name, problem in found.items() if not problem} == PASS_AT_ONCE
    assert len(found) > 50
    others = [problem for name, problem in found.items() if name not in PASS_AT_ONCE]
    assert all("NotImplementedError: TODO: start a broker" in problem for problem in others)


@pytest.mark.slow
def test_with_a_broker_what_connects_to_it_fails_next(empty: Project) -> None:
    empty.succeed("new-plugin", "mine", "--directory", "here")
    suite = empty.folder / "here/tests/test_contract.py"
    unwritten = re.compile(r"raise NotImplementedError\(\s*\"TODO: start a broker[^)]*\)")
    text, count = unwritten.subn('return ("127.0.0.1", 9)', suite.read_text())
    assert count == 1
    suite.write_text(text)

    found = run_tests(empty.folder / "here")
    for test in (
        "TestMineProducer.test_everything_sent_arrives_once_and_in_order",
        "TestMineProducer.test_can_be_opened_again_after_close",
        "TestMineConsumer.test_messages_are_received_in_order",
        "TestMineConsumer.test_close_may_be_called_twice_and_before_open",
    ):
        assert "TODO: connect" in found[test]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "todo"),
    [
        ("store", "TODO: start a database"),
        ("tracker", "TODO: start a database"),
        ("serializer", "TODO: return NotificationMessage"),
    ],
)
def test_of_another_kind_only_what_is_to_be_written_fails(
    empty: Project, kind: str, todo: str
) -> None:
    empty.succeed("new-plugin", "mine", "--kind", kind)

    found = run_tests(empty.folder / "tidings-mine")

    passed = {name.rpartition(".")[2] for name, problem in found.items() if not problem}
    assert passed == {name.rpartition(".")[2] for name in PASS_AT_ONCE}
    others = [problem for problem in found.values() if problem]
    assert len(others) > 15
    assert all(f"NotImplementedError: {todo}" in problem for problem in others)


@pytest.mark.slow
def test_an_observer_passes_at_once(empty: Project) -> None:
    empty.succeed("new-plugin", "mine", "--kind", "observer")

    assert list(run_tests(empty.folder / "tidings-mine").values()) == [""]


@pytest.mark.slow
def test_what_a_store_lacks_beside_a_database_is_said_next(empty: Project) -> None:
    empty.succeed("new-plugin", "mine", "--kind", "store")
    suite = empty.folder / "tidings-mine/tests/test_contract.py"
    unwritten = re.compile(r"raise NotImplementedError\(\s*\"TODO: start a database[^)]*\)")
    text, count = unwritten.subn('return ("127.0.0.1", 9)', suite.read_text())
    assert count == 1
    suite.write_text(text)

    found = run_tests(empty.folder / "tidings-mine")

    said = found["TestMineEventStore.test_an_empty_store_says_so"]
    assert "NotImplementedError: TODO: make tables or keys and the identity" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind"),
    [("my-broker2", "producer"), *((f"x-{kind}", kind) for kind in KINDS)],
)
def test_what_is_written_is_clean(
    empty: Project, tmp_path_factory: pytest.TempPathFactory, name: str, kind: str
) -> None:
    folder = empty.folder / f"tidings-{name}"
    empty.succeed("new-plugin", name, "--kind", kind)

    assert not [path for path, text in files(folder).items() if "@" in text and "@NAME" in text]
    module = f"tidings_{name.replace('-', '_')}"
    strict = [
        "--strict",
        "--cache-dir",
        str(tmp_path_factory.getbasetemp() / "mypy"),
        module,
        "tests",
    ]
    for tool in (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy", *strict]):
        done = subprocess.run(
            [sys.executable, "-m", *tool], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("My Broker", "cannot be a plugin's name"),
        ("my_broker", "cannot be a plugin's name"),
        ("../x", "cannot be a plugin's name"),
        ("2nd", "cannot be a plugin's name"),
        ("", "cannot be a plugin's name"),
        ("a" * (LONGEST_NAME + 1), "cannot be a plugin's name"),
        ("jsonlines", "already"),
        ("rabbitmq", "already"),
        ("tidings-mine", "tidings new-plugin mine"),
    ],
)
def test_a_name_that_cannot_be_is_refused_and_nothing_written(
    empty: Project, name: str, problem: str
) -> None:
    result = empty.run("new-plugin", "--", name)

    assert result.code == 1
    assert problem in result.err
    assert list(empty.folder.iterdir()) == []


def test_what_exists_is_left_as_it_is(empty: Project) -> None:
    (empty.folder / "tidings-mine").mkdir()
    (empty.folder / "tidings-mine" / "pyproject.toml").write_text("mine")

    result = empty.run("new-plugin", "mine")

    assert result.code == 1
    assert "tidings-mine exists already" in result.err
    assert files(empty.folder) == {"tidings-mine/pyproject.toml": "mine"}


def test_a_folder_that_cannot_be_written_is_named(empty: Project) -> None:
    (empty.folder / "file").touch()

    result = empty.run("new-plugin", "mine", "--directory", "file/mine")

    assert result.code == 1
    assert "Cannot write file" in result.err


@pytest.mark.packaging
@pytest.mark.timeout(600)
def test_once_installed_it_is_listed_as_ready(empty: Project) -> None:
    empty.succeed("new-plugin", "mine")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", "site"]
    subprocess.run([*pip, "./tidings-mine"], cwd=empty.folder, check=True, capture_output=True)

    listed = subprocess.run(
        [sys.executable, "-m", "tidings", "plugins", "--json"],
        env=with_path(empty.folder / "site"),
        capture_output=True,
        check=True,
    )
    plugins = {plugin["name"]: plugin for plugin in json.loads(listed.stdout)["plugins"]}
    assert plugins["mine"] == {
        "name": "mine",
        "distribution": "tidings-mine",
        "version": "0.1.0",
        "kinds": ["producer", "consumer"],
        "problem": None,
    }
