"""What a scrape shows, as a test reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from tidings import Observer

X = "x"


class Scraped:
    """All samples of one scrape."""

    def __init__(self, text: str) -> None:
        self._samples = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float | None:
        """Return the value; `None` if there is no such sample."""
        labels = {"exchange": X, **labels}
        return self._samples.get((name, tuple(sorted(labels.items()))))

    def state(self, exchange: str = X) -> str | None:
        """Return the exchange's state; `None` if none is shown. There is never more than one."""
        shown = self.labels("tidings_exchange_state", exchange)
        states = [labels["state"] for labels, value in shown if value]
        assert len(states) == (1 if shown else 0), states
        return states[0] if states else None

    def labels(self, name: str, exchange: str = X) -> list[tuple[dict[str, str], float]]:
        """Return all samples of that name and exchange."""
        return [
            (dict(labels), value)
            for (each, labels), value in self._samples.items()
            if each == name and dict(labels).get("exchange") == exchange
        ]

    @property
    def names(self) -> set[str]:
        """The names of all samples of ours."""
        return {name for name, _ in self._samples if name.startswith("tidings_")}


def scrape(observer: Observer) -> Scraped:
    """Ask as a program would that names no form."""
    shown = observer.exposition("")
    assert shown is not None
    assert shown.content_type.startswith("text/plain")
    return Scraped(shown.body.decode())
