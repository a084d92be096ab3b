"""Builds the site: `python -m scripts.site [FOLDER]`, by default into build/docs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from scripts.site import navigation, pages, versions

from tidings import __version__

ROOT = Path(__file__).parents[2]


def build(root: Path, site: Path) -> int:
    """Build this version's pages; return the exit code. Whatever Sphinx warns of is a failure."""
    source = site / ".source"
    try:
        pages.stage(root, source)
    except pages.DeadLinkError as dead:
        sys.stderr.write(f"{dead}\n")
        return 1
    navigation.add_trees(source)
    out = site / __version__
    shutil.rmtree(out, ignore_errors=True)
    strict = ["-W", "--keep-going", "-q", "-E", "-d", str(site / ".doctrees")]
    where = ["-c", str(Path(__file__).parent), str(source), str(out)]
    command = [sys.executable, "-m", "sphinx", *strict, *where]
    done = subprocess.run(command, check=False)  # noqa: S603 - of our own paths
    if done.returncode:
        return done.returncode
    (out / "llms.txt").write_text(navigation.llms_txt(source, __version__), encoding="utf-8")
    (out / "llms-full.txt").write_text(navigation.llms_full_txt(source), encoding="utf-8")
    newest, *_ = versions.list_versions(site)
    listed = (site / newest / "llms.txt").read_text(encoding="utf-8")
    (site / "llms.txt").write_text(navigation.from_above(listed, newest), encoding="utf-8")
    return 0


def main() -> int:
    """Build it where the command says."""
    site = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "docs").resolve()
    site.mkdir(parents=True, exist_ok=True)
    code = build(ROOT, site)
    sys.stdout.write(f"{site / 'index.html'}\n" if code == 0 else "The site was not built.\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
