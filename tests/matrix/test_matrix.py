"""What the matrix says of its runs, without running it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.matrix import folder, page, versions
from tests.matrix.lowest import constraints
from tests.matrix.rows import ROWS, is_own
from tests.matrix.suite import SHORT, Result

ROOT = Path(__file__).parents[2]
VERSIONS = {
    "python": "3.13.5",
    "servers": {"RabbitMQ": "4.0.5"},
    "libraries": {"pika": "1.3.2", "click": "8.5.1"},  # in no order, as they come
}
REPORT = """\
<testsuites><testsuite>
  <testcase name="a"><properties>
    <property name="server lacks" value="no streams"/><property name="other" value="x"/>
  </properties></testcase>
  <testcase name="b"><skipped message="no root"/></testcase>
  <testcase name="c"><skipped message="no root"/></testcase>
  <testcase name="d"><failure message="x"/></testcase>
  <testcase name="e"><error message="x"/></testcase>
</testsuite></testsuites>
"""


@pytest.fixture
def result(tmp_path: Path) -> Result:
    report = tmp_path / "report.xml"
    report.write_text(REPORT)
    return Result.read(report, VERSIONS)


def test_a_run_counts_what_failed_and_what_was_skipped_and_why(result: Result) -> None:
    assert (result.tests, result.passed, result.failed) == (5, 1, 2)
    assert result.skipped == {"no root": 2}
    assert result.lacks == ["no streams"]
    assert result.line("X") == (
        "X: Python 3.13.5, RabbitMQ 4.0.5: 5 tests, 1 passed, 2 failed, 2 skipped"
    )


def test_the_page_says_what_the_last_recorded_runs_found() -> None:
    known = json.loads((ROOT / page.RECORD).read_text())

    assert (ROOT / page.PAGE).read_text() == page.text(known), "python -m tests.matrix.page"


def test_what_is_recorded_adds_up() -> None:
    known = json.loads((ROOT / page.RECORD).read_text())

    assert known
    for name, row in known.items():
        told = row["passed"] + row["failed"] + sum(row["skipped"].values())
        assert told == row["tests"], name


def test_a_version_keeps_the_day_of_its_first_run(result: Result, tmp_path: Path) -> None:
    earlier = {
        "servers": {"RabbitMQ": "4.0.5"},
        "python": "3.13.4",
        "since": {"RabbitMQ": "2026-01-02", "Python": "2026-01-02"},
    }
    (tmp_path / page.RECORD).parent.mkdir()
    (tmp_path / page.RECORD).write_text(json.dumps({"debian-13": earlier}))

    page.record(tmp_path, {"debian-13": result}, "0ddba11")

    known = json.loads((tmp_path / page.RECORD).read_text())["debian-13"]
    assert known["since"] == {"RabbitMQ": "2026-01-02", "Python": known["run_on"]}
    assert known["run_on"] > "2026-01-02"


def test_a_run_is_recorded_with_the_revision_that_it_was_of(result: Result, tmp_path: Path) -> None:
    (tmp_path / page.RECORD).parent.mkdir()

    page.record(tmp_path, {"debian-13": result}, "0ddba11")

    known = json.loads((tmp_path / page.RECORD).read_text())
    assert known["debian-13"]["revision"] == "0ddba11"
    assert (tmp_path / page.PAGE).read_text() == page.text(known)


def test_the_short_form_names_tests_that_exist() -> None:
    for name in SHORT:
        file, _, test = name.partition("::")
        assert (ROOT / file).exists(), name
        assert not test or f"def {test}(" in (ROOT / file).read_text(), name


def test_every_dependency_has_a_lowest_version(tmp_path: Path) -> None:
    assert "pika==1.3.2" in constraints(ROOT / "pyproject.toml")

    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\ndependencies = ["a"]\noptional-dependencies = {}\n'
    )
    with pytest.raises(ValueError, match=r"'a' in pyproject\.toml has no lower bound"):
        constraints(tmp_path / "pyproject.toml")


def test_the_version_of_every_library_that_an_extra_brings_is_told() -> None:
    told = versions.libraries()

    assert {"SQLAlchemy", "pika", "prometheus_client", "opentelemetry-api", "alembic"} <= set(told)
    assert all(told.values())


APT = """\
#!/bin/sh
[ "$1 $2 $3" = 'indextargets --format $(SITE) $(LABEL)' ] || exit 1
cat <<END
https://packages.example/apt cloud
http://debian.example/debian-security Debian-Security
END
"""


def test_folders_are_made_from_debians_mirror_whatever_else_apt_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apt = tmp_path / "apt-get"
    apt.write_text(APT)
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(folder.MatrixError, match="no mirror of Debian"):
        folder.debian_mirror()

    with apt.open("a") as script:
        script.write("echo http://debian.example/debian Debian\n")

    assert folder.debian_mirror() == "http://debian.example/debian"


def test_the_machines_own_release_is_known_by_its_code_name(tmp_path: Path) -> None:
    file = tmp_path / "os-release"
    file.write_text('ID=debian\nVERSION_CODENAME=trixie\nVERSION_ID="13"\n')

    assert [name for name, row in ROWS.items() if is_own(row, file)] == ["debian-13"]
    assert not any(is_own(row, tmp_path / "missing") for row in ROWS.values())


def test_a_folder_that_lacks_a_package_of_today_is_made_anew(tmp_path: Path) -> None:
    row = ROWS["debian-13"]
    assert not folder.is_made(row, tmp_path)
    (tmp_path / "srv").mkdir()
    ready = tmp_path / "srv" / "ready"
    ready.write_text("\n".join(folder.packages_of(row)))
    assert folder.is_made(row, tmp_path)

    ready.write_text("\n".join(folder.packages_of(row)[1:]))

    assert not folder.is_made(row, tmp_path)


def in_a_folder(tmp_path: Path, script: str) -> int:
    """Enter a folder in which this machine's own root stands, and play the script there.

    What is entered with is a program that waits for no child but its own, as most do.
    """
    enter = "import sys, tests.matrix.folder as f; sys.exit(f.try_to(sys.argv[1], sys.argv[2:]))"
    stand_in = ["unshare", "--mount", "sh", "-euc", 'mount --bind / "$1"; shift; exec "$@"', "sh"]
    inside = [sys.executable, "-c", enter, str(tmp_path), "unshare", "--fork", "sh", "-c", script]
    return subprocess.run([*stand_in, tmp_path, *inside], cwd=ROOT, check=False).returncode


only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can enter a folder")


@only_root
def test_an_orphan_that_ends_in_a_folder_is_gone(tmp_path: Path) -> None:
    """As on any machine, where process 1 takes leave of it: tests wait for processes to go."""
    orphan = """orphan=$(sh -c 'sh -c "echo \\$\\$" &')"""
    gone = 'for _ in $(seq 600); do [ -e "/proc/$orphan" ] || exit 0; sleep 0.1; done; exit 1'

    assert in_a_folder(tmp_path, f"{orphan}\n{gone}") == 0


@only_root
def test_the_status_of_what_ran_in_a_folder_is_passed_on(tmp_path: Path) -> None:
    assert in_a_folder(tmp_path, "exit 7") == 7
