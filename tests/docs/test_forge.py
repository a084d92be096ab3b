"""The files that a public forge and pre-commit read."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from typing import Any

import pytest
import yaml

from tests.docs.pages import ROOT, text_of
from tests.matrix import page
from tests.matrix.rows import ROWS

PYPROJECT = tomllib.loads(text_of(ROOT / "pyproject.toml"))
FORGE = ROOT / ".github"
YAML_FILES = [
    *FORGE.glob("workflows/*.yml"),
    *FORGE.glob("ISSUE_TEMPLATE/*.yml"),
    ROOT / ".pre-commit-config.yaml",
]


def parsed(path: str) -> Any:
    return yaml.safe_load(text_of(ROOT / path))


@pytest.fixture
def job() -> dict[str, Any]:
    (job,) = parsed(".github/workflows/ci.yml")["jobs"].values()
    return dict(job)


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: path.name)
def test_a_file_for_the_forge_can_be_read(path: Any) -> None:
    assert isinstance(yaml.safe_load(text_of(path)), dict)


@pytest.fixture
def claimed() -> list[str]:
    """Give the versions of Python that the package says it runs on."""
    kind = "Programming Language :: Python :: "
    classifiers = PYPROJECT["project"]["classifiers"]
    return [each.removeprefix(kind) for each in classifiers if each.startswith(f"{kind}3.")]


def test_the_workflow_runs_on_each_python_that_the_package_claims(
    job: dict[str, Any], claimed: list[str]
) -> None:
    assert job["strategy"]["matrix"]["python"] == claimed


def test_the_package_claims_the_python_of_each_row_of_the_matrix(claimed: list[str]) -> None:
    """Each row plays this with its own Python, so a release with a newer one is noticed there."""
    assert f"{sys.version_info.major}.{sys.version_info.minor}" in claimed


def test_the_package_claims_the_pythons_of_the_recorded_runs(claimed: list[str]) -> None:
    recorded = json.loads(text_of(ROOT / page.RECORD)).values()

    assert {run["python"].rpartition(".")[0] for run in recorded} <= set(claimed)


def test_the_oldest_python_claimed_is_the_oldest_that_pip_installs_on(claimed: list[str]) -> None:
    assert PYPROJECT["project"]["requires-python"] == f">={claimed[0]}"


def test_the_workflow_runs_where_the_matrix_can_make_its_folders(job: dict[str, Any]) -> None:
    suites = {row.suite for row in ROWS.values()}

    name, _, suite = job["container"]["image"].partition(":${{ matrix.python }}-")
    assert name == "python"
    assert suite in suites, "a Debian: folders are made from the mirror of its apt"
    assert job["container"]["options"] == "--privileged", "mounts are made there"


def test_the_workflow_only_calls_what_runs_anywhere(job: dict[str, Any]) -> None:
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert [command.split()[-1] for command in commands] == [".ci/run"]
    assert all("\n" not in command.strip() for command in commands)


def test_the_pull_requests_template_has_five_boxes() -> None:
    assert text_of(FORGE / "pull_request_template.md").count("- [ ] ") == 5


def test_the_issue_form_asks_how_it_can_be_seen_again() -> None:
    form = parsed(".github/ISSUE_TEMPLATE/fault.yml")
    required = {
        each["id"]
        for each in form["body"]
        if each["type"] != "markdown" and each.get("validations", {}).get("required")
    }
    assert {form["name"], form["description"]} - {""}
    assert required == {"happened", "again", "versions"}


def test_the_hooks_are_ours_and_call_what_the_environment_has() -> None:
    (repository,) = parsed(".pre-commit-config.yaml")["repos"]
    needed = [
        each.partition(">")[0] for each in PYPROJECT["project"]["optional-dependencies"]["dev"]
    ]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        tool = hook["entry"].split()[0].removeprefix(".venv/bin/")
        assert hook["language"] == "system"
        assert tool == "python" or tool in needed
        if tool == "python":
            assert (ROOT / hook["entry"].split()[1]).exists()


def test_a_file_that_is_not_as_editorconfig_wants_is_named(tmp_path: Any) -> None:
    (tmp_path / ".editorconfig").write_text(text_of(ROOT / ".editorconfig"))
    (tmp_path / "good.py").write_bytes(b"x = 1\n")
    (tmp_path / "bad.py").write_bytes(b"x = 1  \r\n\ty = '\xff'")

    command = [sys.executable, str(ROOT / "scripts" / "check_editorconfig.py"), "good.py", "bad.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "bad.py: is not UTF-8",
        "bad.py: a line ends with CR LF",
        "bad.py: the last line has no end",
        "bad.py:2: begins with a tab",
    ]
