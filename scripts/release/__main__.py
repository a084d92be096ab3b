"""Builds a release, and tries it: `python -m scripts.release [--draft] [--out FOLDER]`."""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.release import contents, links, trying
from scripts.release.building import ReleaseError, build, copy_known_files, run
from scripts.release.notes import notes

from tidings import __version__

ROOT = Path(__file__).parents[2]


def main(arguments: list[str]) -> int:
    """Do all of it, a line each; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.release")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--draft", action="store_true", help="of a version without its day")
    parser.add_argument("--extra", action="append", help="try only this one; may be repeated")
    chosen = parser.parse_args(arguments)
    try:
        with TemporaryDirectory() as scratch:
            release(chosen, Path(scratch))
    except ReleaseError as error:
        sys.stderr.write(f"Not released. {error}\n")
        return 1
    return 0


def release(chosen: argparse.Namespace, scratch: Path) -> None:
    """Write everything to ``chosen.out``, or raise :class:`ReleaseError` at the first problem."""
    text = notes((ROOT / "CHANGELOG.md").read_text("utf-8"), __version__, draft=chosen.draft)
    if not chosen.draft and (changed := run("git", "-C", ROOT, "status", "--porcelain")):
        raise ReleaseError(f"There are changes that are not committed:\n{changed.rstrip()}")
    repository = links.repository(ROOT, draft=chosen.draft)
    out: Path = chosen.out.resolve()
    _remove_older(out)
    source = scratch / "source"
    copy_known_files(ROOT, source)
    if repository is not None:
        readme = source / "README.md"
        shown = links.absolute(readme.read_text(encoding="utf-8"), repository, __version__)
        readme.write_text(shown, encoding="utf-8")
    built = build(source, out)
    _say(f"built {built.sdist.name} and {built.wheel.name}")
    if found := list(contents.problems(built.wheel, ROOT)):
        raise ReleaseError("\n".join(found))
    _say("the wheel holds the packages, and nothing else")
    run(sys.executable, "-m", "twine", "check", "--strict", *built)
    _say("twine finds no problem")
    for name in chosen.extra or trying.extras(ROOT):
        trying.try_extra(scratch / f"with-{name}", built.wheel, name)
        _say(f"tidings[{name}] installs and works")
    sbom = out / f"tidings-{__version__}.cdx.json"
    trying.write_sbom(scratch / "sbom", built.wheel, ROOT, sbom)
    (out / "NOTES.md").write_text(text, encoding="utf-8")
    sums = [
        f"{hashlib.sha256(each.read_bytes()).hexdigest()}  {each.name}" for each in (*built, sbom)
    ]
    (out / "SHA256SUMS").write_text("\n".join(sums) + "\n", encoding="utf-8")
    _say(f"bill of materials, notes and sums are in {out}")


def _remove_older(out: Path) -> None:
    """Remove what an earlier run wrote there, and nothing else."""
    out.mkdir(parents=True, exist_ok=True)
    for pattern in ("tidings-*", "NOTES.md", "SHA256SUMS"):
        for old in out.glob(pattern):
            old.unlink()


def _say(line: str) -> None:
    sys.stdout.write(f"ok      {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
