"""What `make release` makes, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from scripts.release import contents, links, trying
from scripts.release.__main__ import main
from scripts.release.building import ReleaseError, known_files, run
from scripts.release.notes import notes

from tests.docs.pages import ROOT, text_of
from tidings import __version__

CHANGELOG = "# Changes\n\n## 0.2.0 (2026-12-01)\n\n- New.\n\n## 0.1.0 (unreleased)\n\n- First.\n"


def test_the_notes_are_what_the_changelog_says_of_that_version() -> None:
    assert notes(CHANGELOG, "0.2.0", draft=False) == "# tidings 0.2.0\n\n- New.\n"
    assert notes(CHANGELOG, "0.1.0", draft=True) == "# tidings 0.1.0\n\n- First.\n"


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("0.1.0", "calls 0.1.0 unreleased: write the day"),
        ("0.3.0", "has no part '## 0.3.0"),
    ],
)
def test_a_version_that_the_changelog_does_not_release_is_refused(version: str, said: str) -> None:
    with pytest.raises(ReleaseError, match=said):
        notes(CHANGELOG, version, draft=False)


def test_an_empty_part_of_the_changelog_is_refused() -> None:
    with pytest.raises(ReleaseError, match="says nothing"):
        notes("## 0.2.0 (2026-12-01)\n\n## 0.1.0 (2026-11-01)\n\n- First.\n", "0.2.0", draft=False)


def test_this_version_has_notes() -> None:
    assert notes(text_of(ROOT / "CHANGELOG.md"), __version__, draft=True).count("\n") > 10


def test_it_is_known_of_every_extra_what_it_brings() -> None:
    known = {*trying.BRINGS, *trying.LIBRARY, "all"}
    assert set(trying.extras(ROOT)) == known


def with_addresses(folder: Path, urls: str) -> Path:
    (folder / "pyproject.toml").write_text(f"[project]\nname = 'tidings'\n{urls}")
    return folder


def test_a_release_whose_links_would_lead_nowhere_is_refused(tmp_path: Path) -> None:
    root = with_addresses(tmp_path, "[project.urls]\nHomepage = 'https://example.org'\n")

    with pytest.raises(ReleaseError, match=r"names no repository, .* \[project.urls\], Repository"):
        links.repository(root, draft=False)
    assert links.repository(root, draft=True) is None


def test_on_an_index_the_readmes_links_lead_into_the_repository(tmp_path: Path) -> None:
    root = with_addresses(tmp_path, "[project.urls]\nRepository = 'https://example.org/o/t/'\n")

    address = links.repository(root, draft=False)

    assert address == "https://example.org/o/t"
    there = f"{address}/blob/v1.2.3"
    page = "[a](docs/a.md), [b](docs/b.md#c): [d](#d) [e](https://e.org/e.md) [m](mailto:m@e.org)"
    assert links.absolute(page, address, "1.2.3") == (
        f"[a]({there}/docs/a.md), [b]({there}/docs/b.md#c): [d](#d) [e](https://e.org/e.md) "
        "[m](mailto:m@e.org)"
    )


def test_no_link_of_this_readme_stays_relative() -> None:
    readme = text_of(ROOT / "README.md")

    shown = links.absolute(readme, "https://example.org/o/t", "1.2.3")

    targets = re.findall(r"\]\(([^)]+)\)", shown)
    assert len(targets) > 10
    assert [each for each in targets if not each.startswith(("https:", "#"))] == []


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Give a wheel of this repository's files, made without a build."""
    wheel = tmp_path / f"tidings-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in known_files(ROOT):
            parts = Path(name).parts
            depth = {"core": 1, "plugins": 2}.get(parts[0], 0)
            if depth and len(parts) > depth + 1 and parts[depth].startswith("tidings"):
                archive.writestr("/".join(parts[depth:]), "")
        for name in contents.METADATA:
            archive.writestr(f"tidings-{__version__}.dist-info/{name}", "")
    return wheel


def test_a_wheel_of_what_git_knows_has_no_problem(made: Path) -> None:
    assert list(contents.problems(made, ROOT)) == []


def test_a_file_too_many_or_too_few_is_named(made: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / made.name
    other.parent.mkdir()
    with zipfile.ZipFile(made) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            if name != "tidings/py.typed":
                new.writestr(name, "")
        new.writestr("tidings/secrets.env", "")
        new.writestr("tests/test_all.py", "")

    assert list(contents.problems(other, ROOT)) == [
        "tidings/py.typed is missing in the wheel",
        "tests/test_all.py is in the wheel, and git does not know it",
        "tidings/secrets.env is in the wheel, and git does not know it",
    ]


def test_a_file_that_no_package_should_hold_is_named(tmp_path: Path) -> None:
    package = tmp_path / "core" / "tidings"
    package.mkdir(parents=True)
    (package / "notes.env").write_text("")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    wheel = tmp_path / "tidings-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tidings/notes.env", "")
        for name in contents.METADATA:
            archive.writestr(f"tidings-1.0.dist-info/{name}", "")
    run("git", "init", "-q", tmp_path)

    problems = list(contents.problems(wheel, tmp_path))

    assert problems == ["tidings/notes.env has an ending that no package of ours has: see ENDINGS"]


@pytest.mark.packaging
@pytest.mark.timeout(900)
def test_the_wheel_that_is_built_has_no_problem(wheel: Path) -> None:
    assert list(contents.problems(wheel, ROOT)) == []


@pytest.mark.packaging
@pytest.mark.timeout(900)
def test_a_release_is_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if version("twine") < "7":  # beside the lowest rich that we allow there is no newer one
        pytest.skip("twine 6 does not know the metadata that hatchling writes")
    kept = tmp_path / "another.txt"
    kept.write_text("not ours")

    assert main(["--draft", "--extra", "zeromq", "--out", str(tmp_path)]) == 0

    said = capsys.readouterr().out
    assert "ok      tidings[zeromq] installs and works\n" in said
    assert "twine finds no problem" in said
    lines = (line.split("  ") for line in text_of(tmp_path / "SHA256SUMS").splitlines())
    sums = {name: stated for stated, name in lines}
    assert set(sums) == {
        f"tidings-{__version__}.tar.gz",
        f"tidings-{__version__}-py3-none-any.whl",
        f"tidings-{__version__}.cdx.json",
    }
    for name, stated in sums.items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == stated
    listed = json.loads(text_of(tmp_path / f"tidings-{__version__}.cdx.json"))
    assert listed["metadata"]["component"]["version"] == __version__
    names = {component["name"].lower() for component in listed["components"]}
    assert {"pika", "pyzmq", "rstream", "stomp.py", "pymysql", "psycopg", "sqlalchemy"} <= names
    assert not names & {"pytest", "sphinx", "twine"}
    assert text_of(tmp_path / "NOTES.md").startswith(f"# tidings {__version__}\n")
    assert kept.exists()


@pytest.mark.packaging
@pytest.mark.timeout(900)
def test_an_extra_that_does_not_bring_its_backend_is_refused(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(trying.BRINGS, "prometheus", {"prometheus", "rabbitmq"})

    with pytest.raises(ReleaseError, match=r"or the other way round: rabbitmq\."):
        trying.try_extra(tmp_path / "venv", wheel, "prometheus")
