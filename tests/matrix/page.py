"""docs/support.md, written from what the matrix itself found (docs/support.json).

``python -m tests.matrix.page`` writes the page anew from the file.
"""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tests.matrix.rows import ROWS

if TYPE_CHECKING:
    from tests.matrix.suite import Result

RECORD: Final = Path("docs/support.json")
PAGE: Final = Path("docs/support.md")

_TITLES: Final = {name: row.title for name, row in ROWS.items()} | {
    "lowest-libraries": "lowest libraries"
}

_HEAD: Final = """\
# Supported versions

This page is written by `make matrix`, from what its runs found: the whole test suite, against real
servers, on the servers and the Python of each Debian release below. (The release of the machine
itself is tested with the Python that is there.) On each change `.ci/run` plays the whole suite on
that release, and a short form on the others. The whole matrix is run before a release. Nobody edits
the tables by hand: `docs/support.json` holds the figures, and a test sees that this page says the
same.

"Since" is the day of the first recorded whole run with that version.
"""

_NEVER: Final = """\
## Never run

What could not be had for the tests is listed here, with what was done in its place.

| what | in its place |
|---|---|
| MySQL 8.0 and 8.4 | MySQL 9, on which the whole suite runs; both databases take the same code |
| MariaDB 12 | what it answers differently (`read_only` as text) is tested with a stand-in |
| ActiveMQ Classic 6 | 5.17, which speaks the same STOMP 1.2 |
| Artemis | it is refused by its name in CONNECTED, tested with a stand-in that sends that frame |
| macOS | nothing |
| Windows | nothing, and it is not supported |
| the images of `compose.yaml` | nothing: the file was written, not run |
"""


def record(root: Path, results: dict[str, Result], revision: str) -> None:
    """Keep what whole runs of that revision found, and write the page anew."""
    file = root / RECORD
    known: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    today = datetime.now(UTC).date().isoformat()
    for name, result in results.items():
        earlier = known.get(name, {})
        known[name] = result.as_json() | {
            "run_on": today,
            "revision": revision,
            "since": _since(earlier, result, today),
        }
    file.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")
    (root / PAGE).write_text(text(json.loads(file.read_text())))  # in the file's order


def text(known: dict[str, Any]) -> str:
    """Return the page for what is known."""
    rows = [name for name in _TITLES if name in known]
    parts = [_HEAD, _table_of_runs(known, rows)]
    parts += [_table_of_versions(known[name], _TITLES[name]) for name in rows]
    parts += [_lacking(known, rows), _declared(known, rows), _NEVER]
    return "\n".join(parts)


def _since(earlier: dict[str, Any], result: Result, today: str) -> dict[str, str]:
    before = earlier.get("servers", {}) | {"Python": earlier.get("python")}
    now = result.servers | {"Python": result.python}
    return {
        name: earlier["since"].get(name, today) if before.get(name) == version else today
        for name, version in now.items()
    }


def _table_of_runs(known: dict[str, Any], rows: list[str]) -> str:
    lines = [
        "## Runs",
        "",
        "| row | day | revision | tests | passed | failed | skipped |",
        "|---|---|---|--:|--:|--:|--:|",
    ]
    for name in rows:
        run = known[name]
        lines.append(
            f"| {_TITLES[name]} | {run['run_on']} | {run['revision']} | {run['tests']} "
            f"| {run['passed']} | {run['failed']} | {sum(run['skipped'].values())} |"
        )
    return "\n".join([*lines, ""])


def _table_of_versions(run: dict[str, Any], title: str) -> str:
    lines = [f"### {title}", "", "| what | version | since |", "|---|---|---|"]
    lines.append(f"| Python | {run['python']} | {run['since']['Python']} |")
    for name, version in sorted(run["servers"].items()):
        lines.append(f"| {name} | {version} | {run['since'][name]} |")
    libraries = ", ".join(f"{name} {version}" for name, version in run["libraries"].items())
    return "\n".join([*lines, "", f"Libraries: {libraries}.", ""])


def _lacking(known: dict[str, Any], rows: list[str]) -> str:
    lines = ["## What a row has not", ""]
    for name in rows:
        run = known[name]
        skipped = {why: count for why, count in run["skipped"].items() if not _is_declared(why)}
        lines.append(f"**{_TITLES[name]}**" + ("" if skipped or run.get("lacks") else ": nothing."))
        lines += ["", *(f"- {what}" for what in run.get("lacks", ()))]
        lines += [f"- {why} ({_tests(count)} not run)" for why, count in skipped.items()]
        lines += [""] if skipped or run.get("lacks") else []
    return "\n".join(lines)


def _declared(known: dict[str, Any], rows: list[str]) -> str:
    most: dict[str, int] = {}
    for name in rows:
        for why, count in known[name]["skipped"].items():
            most[why] = max(count, most.get(why, 0))
    lines = [
        "## What no row runs",
        "",
        "A test of a contract suite is left out where a backend declares that it hasn't what the",
        "test is of: a ZeroMQ producer has no broker that could refuse a login. What has it, runs",
        "the test. The [plugin reference](plugin-reference.md) explains the declarations.",
        "",
    ]
    lines += [f"- `{why}`: {_tests(n)}" for why, n in sorted(most.items()) if _is_declared(why)]
    return "\n".join([*lines, ""])


def _is_declared(why: str) -> bool:
    return why.startswith("declared: ")


def _tests(count: int) -> str:
    return "1 test" if count == 1 else f"{count} tests"


def revision_of(root: Path) -> str:
    """Return what git calls the checkout as it stands."""
    asked = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=7"]
    done = subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()


if __name__ == "__main__":
    here = Path(__file__).parents[2]
    (here / PAGE).write_text(text(json.loads((here / RECORD).read_text())))
