"""Prints the alerts with your numbers, as Prometheus reads them or as its operator does.

Needs Python 3.11 and nothing else. `--write` writes both forms with the default numbers to where
this repository keeps them.
"""  # noqa: INP001 - a program of its own

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from pathlib import Path
from string import Template

FOLDER = Path(__file__).parent
PLAIN = FOLDER / "tidings.rules.yaml"
OF_THE_OPERATOR = FOLDER.parent / "kubernetes" / "monitoring" / "prometheus-rule.yaml"
HEAD = """\
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: tidings
  labels: {app.kubernetes.io/name: tidings}
spec:
"""
NUMBERS = {
    "wait": ("2m", "how long something is wrong before anybody is told: longer than a restart"),
    "hold-seconds": ("60", "how long a transaction may take"),
    "late-seconds": ("300", "how late news may be"),
    "behind-events": ("1000", "a backlog that is nothing, even if it grows"),
    "growing": ("10m", "how long a backlog grows before anybody is told"),
    "job": ("tidings", "what Prometheus calls the job that scrapes the relays"),
}


_DURATION = r"(?=.)([1-9][0-9]*w)?([1-9][0-9]*d)?([1-9][0-9]*h)?([1-9][0-9]*m)?([1-9][0-9]*s)?"
_NUMBER = r"[0-9]+(\.[0-9]+)?"
_JOB = r"[\w./:-]+"  # it stands in quotes, within a file of YAML
FORMS = {
    "wait": (_DURATION, "no duration; write 90s, 5m or 1h30m"),
    "hold-seconds": (_NUMBER, "no number of seconds; write 60"),
    "late-seconds": (_NUMBER, "no number of seconds; write 300"),
    "behind-events": (_NUMBER, "no number; write 1000"),
    "growing": (_DURATION, "no duration; write 90s, 5m or 1h30m"),
    "job": (_JOB, "no name of letters, digits and any of _ . / : -"),
}


class _Rules(Template):
    delimiter = "@"  # a rule has dollars of its own


def rules(numbers: dict[str, str]) -> str:
    """Return the rules with these numbers, as a file that Prometheus reads."""
    return _Rules((FOLDER / "rules.template").read_text(encoding="utf-8")).substitute(numbers)


def of_the_operator(plain: str) -> str:
    """Return the same rules as a PrometheusRule."""
    comment, _, groups = plain.partition("groups:\n")
    return comment + HEAD + textwrap.indent(f"groups:\n{groups}", "  ")


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, (default, meaning) in NUMBERS.items():
        parser.add_argument(f"--{name}", default=default, help=f"{meaning} (default: {default})")
    parser.add_argument("--operator", action="store_true", help="print a PrometheusRule")
    parser.add_argument("--write", action="store_true", help=argparse.SUPPRESS)
    chosen = vars(parser.parse_args())
    # Prometheus takes a word in place of a number for a metric, and the alert would never fire.
    for name, (form, what) in FORMS.items():
        value = chosen[name.replace("-", "_")]
        if not re.fullmatch(form, value, re.ASCII):
            parser.error(f"--{name}: {value!r} is {what}.")
    plain = rules(chosen)
    if chosen["write"]:
        PLAIN.write_text(plain, encoding="utf-8")
        OF_THE_OPERATOR.write_text(of_the_operator(plain), encoding="utf-8")
    else:
        sys.stdout.write(of_the_operator(plain) if chosen["operator"] else plain)


if __name__ == "__main__":
    _main()
