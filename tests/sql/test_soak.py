"""Eight writers, ten of a hundred transactions rolled back: none lost, none twice, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sql.soak import Outcome, insert_plainly, naive_reader, outcome_of, soak

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine

    from tidings.sql.event_store import SqlAlchemyEventStore

SECONDS = 3.0
SLEEPS = pytest.mark.parametrize("sleeps", [0.003, 0.0], ids=["sleepy", "sleepless"])


def read(store: SqlAlchemyEventStore, since: int) -> Sequence[tuple[int, str | None, str]]:
    events = store.all_stored_events_since(since, 1000)
    return [(event.event_id, event.aggregate_id, event.body) for event in events]


@SLEEPS
def test_nothing_is_lost_or_given_twice_and_no_version_goes_down(
    engine: Engine, store: SqlAlchemyEventStore, sleeps: float
) -> None:
    outcome = soak(
        engine,
        lambda connection, events: store.append(connection, *events),
        lambda since: read(store, since),
        seconds=SECONDS,
        sleeps=sleeps,
    )
    assert outcome == Outcome(outcome.stored, 0, 0, 0, 0)
    assert outcome.stored > 100


@SLEEPS
def test_without_the_order_of_commits_a_reader_loses_events(
    server_engine: Engine, server_store: SqlAlchemyEventStore, sleeps: float
) -> None:
    """The control: were this reader's luck the rule, the test above would prove nothing."""
    outcome = soak(
        server_engine,
        insert_plainly,
        naive_reader(server_engine),
        seconds=SECONDS,
        sleeps=sleeps,
    )
    assert outcome.lost > 0


@SLEEPS
def test_on_postgresql_inserts_that_bypass_append_are_covered_too(
    postgresql_engine: Engine, postgresql_store: SqlAlchemyEventStore, sleeps: float
) -> None:
    outcome = soak(
        postgresql_engine,
        insert_plainly,
        lambda since: read(postgresql_store, since),
        seconds=SECONDS,
        sleeps=sleeps,
    )
    assert outcome == Outcome(outcome.stored, 0, 0, 0, 0)


def test_the_soak_itself_would_see_a_loss() -> None:
    """The oracle, on a store that is known to have lost 2, given 3 twice, and turned 5 and 4."""
    given: list[tuple[int, str | None, str]] = [
        (1, "a", "1"),
        (3, "a", "2"),
        (3, "a", "2"),
        (5, "a", "4"),
        (4, "a", "3"),
    ]
    assert outcome_of(given, [1, 2, 3, 4, 5]) == Outcome(5, 1, 1, 1, 2)
