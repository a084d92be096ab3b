"""`make matrix`, or `python -m tests.matrix --row debian-13 --short`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from tests.matrix import folder, page
from tests.matrix.lowest import constraints
from tests.matrix.rows import ROWS, Row, is_own
from tests.matrix.suite import Result, pytest_command

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT: Final = Path(__file__).parents[2]
LOWEST: Final = "lowest-libraries"
VERSIONS: Final = [".venv/bin/python", "-m", "tests.matrix.versions"]
STRICT: Final = {"TIDINGS_REQUIRE_SERVERS": "1"}


@click.command()
@click.option(
    "--row", "names", multiple=True, type=click.Choice([*ROWS, LOWEST]), help="Only this."
)
@click.option("--short", is_flag=True, help="The tests in which a newer server shows first.")
@click.option("--others", is_flag=True, help="Without the row of this machine's own release.")
@click.option("--record", is_flag=True, help="Write docs/support.json and docs/support.md.")
def main(names: tuple[str, ...], *, short: bool, others: bool, record: bool) -> None:
    """Run the suite on the servers and the Python of several Debian releases."""
    if record and short:
        raise click.UsageError("--record is for whole runs: docs/support.md speaks of those.")
    home = Path(os.environ.get("TIDINGS_MATRIX_FOLDER") or ROOT / ".matrix")
    revision = page.revision_of(ROOT)  # of what is tested: a run is long, and the checkout moves on
    results: dict[str, Result] = {}
    failed = False
    for name in names or (*ROWS, LOWEST):
        if others and name in ROWS and is_own(ROWS[name]):
            continue
        began = time.monotonic()
        try:
            results[name] = _runner(name, home)(short)
        except folder.MatrixError as error:
            failed = True
            print(f"{name}: not run: {error}", file=sys.stderr)
            continue
        failed = failed or bool(results[name].failed)
        print(f"{results[name].line(name)}, {time.monotonic() - began:.0f} s", flush=True)
    if record:
        page.record(ROOT, results, revision)
    sys.exit(1 if failed else 0)


def _runner(name: str, home: Path) -> Callable[[bool], Result]:
    if name == LOWEST:
        return lambda short: _on_lowest_libraries(home / LOWEST, short=short)
    row = ROWS[name]
    if is_own(row):
        return lambda short: _here(ROOT, ROOT / ".venv", home, short=short)
    return lambda short: _in_folder(row, home / row.suite, short=short)


def _here(project: Path, venv: Path, home: Path, *, short: bool) -> Result:
    """Run the suite on this machine as it is."""
    home.mkdir(parents=True, exist_ok=True)
    report = home / "report.xml"
    report.unlink(missing_ok=True)
    python = str(venv / "bin" / "python")
    command = [python, *pytest_command(report, short=short)[1:]]
    done = subprocess.run(command, cwd=project, env=os.environ | STRICT, check=False)
    versions = subprocess.run(
        [python, *VERSIONS[1:]], cwd=project, stdout=subprocess.PIPE, text=True, check=True
    )
    return _result(report, versions.stdout, done.returncode)


def _on_lowest_libraries(home: Path, *, short: bool) -> Result:
    """Run the suite on this machine, with the lowest versions that pyproject.toml allows."""
    home.mkdir(parents=True, exist_ok=True)
    pins = home / "constraints.txt"
    pins.write_text("\n".join(constraints(ROOT / "pyproject.toml")) + "\n")
    venv = home / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
    pip = [str(venv / "bin/python"), "-m", "pip", "install", "--quiet", "--constraint", str(pins)]
    everything = f"{ROOT}[all,postgresql,mysql,async,dev]"
    if subprocess.run([*pip, "--editable", everything], check=False).returncode:
        raise folder.MatrixError("The lowest versions that pyproject.toml allows do not install.")
    return _here(ROOT, venv, home, short=short)


def _in_folder(row: Row, place: Path, *, short: bool) -> Result:
    """Run the suite inside the release's folder."""
    folder.refuse_where_impossible()
    folder.make(row, place)
    folder.copy_project(ROOT, place)
    inside = ["sh", "-euc", f'cd /{folder.PROJECT} && exec "$@"', "sh"]
    folder.enter(place, [*inside, "make", ".venv/dev"])
    report = place / "srv" / "report.xml"
    report.unlink(missing_ok=True)
    command = pytest_command("/srv/report.xml", short=short)
    status = folder.try_to(place, [*inside, *command], environment=STRICT)
    written = place / "srv" / "versions.json"
    to_file = ["sh", "-euc", f"cd /{folder.PROJECT} && {' '.join(VERSIONS)} > /srv/versions.json"]
    folder.enter(place, to_file)
    return _result(report, written.read_text(), status)


def _result(report: Path, versions: str, status: int) -> Result:
    if not report.exists():
        raise folder.MatrixError(f"pytest ended with {status}, without a report.")
    result = Result.read(report, _parsed(versions))
    if status and not result.failed:
        raise folder.MatrixError(f"pytest ended with {status}, though no test failed.")
    return result


def _parsed(versions: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(versions)
    return parsed


if __name__ == "__main__":
    main()
