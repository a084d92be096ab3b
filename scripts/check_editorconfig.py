"""Say which files are not as .editorconfig wants them: of those named, or of all that git knows."""  # noqa: INP001 - a script

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from editorconfig import get_properties

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def problems(path: Path) -> Iterator[str]:
    """Give what is wrong with one file, a sentence each."""
    content = path.read_bytes()
    if not content or b"\0" in content:
        return
    wanted: Mapping[str, str] = get_properties(str(path.resolve()))
    if wanted.get("charset") == "utf-8":
        try:
            content.decode()
        except UnicodeDecodeError:
            yield f"{path}: is not UTF-8"
    if wanted.get("end_of_line") == "lf" and b"\r\n" in content:
        yield f"{path}: a line ends with CR LF"
    if wanted.get("insert_final_newline") == "true" and not content.endswith(b"\n"):
        yield f"{path}: the last line has no end"
    for number, line in enumerate(content.split(b"\n"), 1):
        if wanted.get("trim_trailing_whitespace") == "true" and line.rstrip(b" \t") != line:
            yield f"{path}:{number}: blanks at the end of the line"
        if wanted.get("indent_style") == "space" and line.startswith(b"\t"):
            yield f"{path}:{number}: begins with a tab"


def main(names: list[str]) -> int:
    """Print the problems; return the exit code."""
    if not names:
        listed = subprocess.run(["git", "ls-files", "-z"], check=True, capture_output=True)  # noqa: S607
        names = [name for name in listed.stdout.decode().split("\0") if name]
    found = [
        problem for name in names if (path := Path(name)).is_file() for problem in problems(path)
    ]
    sys.stdout.writelines(f"{problem}\n" for problem in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
