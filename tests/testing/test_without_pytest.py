"""What somebody sees who has not installed pytest."""

from __future__ import annotations

import subprocess
import sys

HIDE_PYTEST = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"pytest", "_pytest"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hide())
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", HIDE_PYTEST + script],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_tidings_testing_without_pytest_says_what_to_install() -> None:
    done = run("import tidings.testing")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(
        "tidings.testing needs pytest, which is not installed. Run: pip install pytest"
    )


def test_the_rest_of_tidings_needs_no_pytest() -> None:
    script = """
import importlib, pkgutil, tidings
for module in pkgutil.walk_packages(tidings.__path__, "tidings."):
    if not module.name.startswith("tidings.testing") and "__main__" not in module.name:
        importlib.import_module(module.name)
print("pytest" in sys.modules)
"""
    done = run(script)
    assert done.stdout.strip() == "False", done.stderr
