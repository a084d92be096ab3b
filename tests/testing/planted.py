"""Contract suites that run against planted faults, in a pytest of their own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import ModuleType


@dataclass(frozen=True)
class Finding:
    """Which test finds a fault, and what it must tell the author."""

    test: str
    says: Sequence[str]


def plant(
    module: dict[str, Any],
    suite: type,
    faults: ModuleType,
    findings: Mapping[str, Finding],
    base: str = "Base",
) -> None:
    """Put one class of `suite` for each fault, and one without any, into a module.

    What hangs by a fault is given up soon; what has none is given all the suite's patience.
    """
    for name in [base, *findings]:
        fault = getattr(faults, name)
        fields = {"fault": fault, "__module__": module["__name__"], "__test__": True}
        if name == base:
            said = [vars(each)["patience"] for each in suite.__mro__ if "patience" in vars(each)]
            fields |= {"patience": said[-1]} if said else {}
        module[f"Test{name}"] = type(f"Test{name}", (suite,), fields)


def run_planted(
    path: str, findings: Mapping[str, Finding], folder: Path, bases: Sequence[str] = ("Base",)
) -> dict[str, str]:
    """Run, for each fault, the test that should find it; return what each failure said.

    Those in ``bases``, without a fault, run all of those tests.
    """
    tests = " or ".join(sorted({finding.test for finding in findings.values()}))
    chosen = [f"(Test{name} and {finding.test})" for name, finding in findings.items()]
    sound = [f"(Test{base} and ({tests}))" for base in bases]
    report = folder / "report.xml"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", path, "-q", "--tb=short", f"--junitxml={report}"),
            *("-p", "no:cacheprovider", "-k", " or ".join([*sound, *chosen])),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )
    assert report.exists(), done.stdout + done.stderr
    ran: dict[str, str] = {}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - our own pytest wrote it
        name = case.attrib["classname"].rpartition(".Test")[2]
        assert case.find("skipped") is None, case.attrib["name"]
        said = "".join(f"{each.text}" for each in [*case.iter("failure"), *case.iter("error")])
        ran[name] = ran.get(name, "") + said
    assert set(ran) == {*bases, *findings}
    return ran
