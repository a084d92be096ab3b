"""What the README shows, done as it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.command import Project
from tests.docs.pages import PAGES

if TYPE_CHECKING:
    from tests.servers.given import StreamBroker

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_five_minutes_with_rabbitmq_go_as_shown(tmp_path: Path, rabbitmq: StreamBroker) -> None:
    project = Project(tmp_path)
    address = {"TIDINGS_PRODUCERS__RABBITMQ__URL": rabbitmq.url}
    (python,) = blocks("python")
    (configuration,) = blocks("toml")

    project.succeed("init", "--producer", "rabbitmq")
    written = (tmp_path / "tidings.toml").read_text()
    project.configure(configuration)
    subprocess.run([sys.executable, "-W", "error", "-c", python], cwd=tmp_path, check=True)
    checked = project.succeed("check", **address)
    spread = project.succeed("spread", **address)
    listened = project.succeed("listen", "my-bc-app", "--count", "1", "--timeout", "9", **address)

    for line in configuration.splitlines():
        assert line.split("  ")[0] in written
    assert "FAILED" not in checked.out
    assert spread.out == "1 notification(s) sent!\n"
    (message,) = listened.lines
    assert message["type_name"] == "OrderPlaced"
    assert message["aggregate_id"] == "42"
    assert message["body"] == {"order": 42, "total": "9.90"}


@pytest.mark.parametrize("target", ["demo", "test"])
def test_the_two_commands_are_targets_of_the_makefile(target: str) -> None:
    assert f"make {target} " in README
    assert f"\n{target}: " in (ROOT / "Makefile").read_text()


def test_every_task_that_contributing_names_is_a_target_of_the_makefile() -> None:
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`make (\w+)", contributing))
    targets = set(re.findall(r"^(\w+): ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"quick", "lint", "test", "coverage"} <= named
    assert named <= targets


def test_every_link_leads_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.relative_to(ROOT)}: {link}"


def test_the_readme_leads_to_the_list_of_all_pages_and_to_what_a_forge_looks_for() -> None:
    """What the list lacks, the site's build finds (tests/docs/test_whole_site.py)."""
    linked = set(re.findall(r"\]\(([^)#]+\.md)\)", README))
    assert {"docs/README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"} <= linked
