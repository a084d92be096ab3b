"""Prometheus for tests."""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from tests.servers.process import PROBE_SECONDS, free_port
from tests.servers.server import Server

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CONFIGURATION = """\
global:
  scrape_interval: {every}
  scrape_timeout: {every}
  evaluation_interval: {every}
rule_files: [{rules}]
scrape_configs:
  - job_name: tidings
    static_configs:
      - targets: ["{target}"]
"""


class Prometheus(Server):
    """A Prometheus that scrapes one target, five times a second unless told otherwise."""

    name: ClassVar[str] = "Prometheus"

    def __init__(
        self, directory: Path, *, target: str, every: str = "200ms", rules: Path | None = None
    ) -> None:
        """Take a port; `target` is the `host:port` whose `/metrics` is scraped."""
        super().__init__(directory)
        self.port = free_port()
        self._target = target
        self._every = every
        self._rules = rules

    @staticmethod
    @override
    def available() -> str | None:
        """Return None if Prometheus is installed, else what to install."""
        if shutil.which("prometheus") and shutil.which("promtool"):
            return None
        return "Prometheus is not installed: install the package prometheus"

    @property
    @override
    def url(self) -> str:
        """The address of its API."""
        return f"http://127.0.0.1:{self.port}"

    @override
    def prepare(self) -> None:
        """Write its configuration."""
        rules = "" if self._rules is None else json.dumps(str(self._rules))
        text = CONFIGURATION.format(target=self._target, every=self._every, rules=rules)
        (self.directory / "prometheus.yml").write_text(text)

    @override
    def command(self) -> Sequence[str | Path]:
        """Return the server's command."""
        return [
            shutil.which("prometheus") or "prometheus",
            f"--config.file={self.directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]

    @override
    def ready(self) -> bool:
        """Ask whether it serves queries."""
        try:
            self._get("/-/ready")
        except OSError:
            return False
        return True

    def query(self, expression: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Return what a PromQL expression gives now, by labels other than name, job, instance."""
        found = json.loads(self._get("/api/v1/query", query=expression))
        return {
            tuple(
                (name, value)
                for name, value in sorted(series["metric"].items())
                if name not in ("__name__", "job", "instance")
            ): float(series["value"][1])
            for series in found["data"]["result"]
        }

    def alerts(self) -> set[tuple[str, str]]:
        """Return the alerts that fire now, each with its exchange, or with nothing."""
        found = json.loads(self._get("/api/v1/alerts"))["data"]["alerts"]
        labels = [each["labels"] for each in found if each["state"] == "firing"]
        return {(each["alertname"], each.get("exchange", "")) for each in labels}

    def _get(self, path: str, **parameters: str) -> bytes:
        url = f"{self.url}{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=PROBE_SECONDS) as response:  # noqa: S310 - http
                body: bytes = response.read()
        except urllib.error.HTTPError as refusal:  # it holds the answer open
            refusal.close()
            raise
        return body
