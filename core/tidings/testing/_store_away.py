"""An event store whose database is away."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, ClassVar

from tidings.errors import EventStoreError
from tidings.interfaces import Capability
from tidings.testing._away import expect_unavailable
from tidings.testing._capabilities import need
from tidings.testing._judging import broken, check
from tidings.testing._storing import append, expect_numbers, numbered, read_all
from tidings.testing.promises import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tidings.interfaces import EventStore
    from tidings.testing._making import MakeStore
    from tidings.testing.proxy import Link


class StoreAwayPromises:
    """What holds if the way to the database fails."""

    capabilities: ClassVar[frozenset[Capability]]
    patience: ClassVar[float]

    def test_making_it_connects_to_nothing(self, new_store: MakeStore, link: Link) -> None:
        new_store(via=link.address)
        check(link.opened == 0, Store.LAZY, f"Making it opened {link.opened} connection(s).")

    def test_every_call_says_that_the_database_is_away(
        self, store: EventStore, new_store: MakeStore, link: Link, secrets: Sequence[str]
    ) -> None:
        append(store, numbered(0))
        cut = new_store(via=link.address)
        calls: dict[str, Callable[[], Any]] = {
            "all_stored_events_since()": lambda: cut.all_stored_events_since(0, 10),
            "stored_event()": lambda: cut.stored_event(1),
            "newest_event_id()": cut.newest_event_id,
            "oldest_event_id()": cut.oldest_event_id,
            "count_stored_events_since()": lambda: cut.count_stored_events_since(0),
            "append()": lambda: append(cut, numbered(1)),
            "create()": cut.create,
            "check()": cut.check,
            "watch()": cut.watch,
            "identity()": cut.identity,
        }
        if Capability.PRUNE in self.capabilities:
            calls["prune()"] = lambda: cut.prune(1)
            calls["prune(dry_run=True)"] = lambda: cut.prune(1, dry_run=True)
        if Capability.RENUMBER in self.capabilities:
            calls["renumber()"] = cut.renumber
        if Capability.SCHEMA in self.capabilities:
            calls["migrate()"] = cut.migrate
            calls["migrate(dry_run=True)"] = lambda: cut.migrate(dry_run=True)
        expect_unavailable(
            calls,
            lambda: cut.all_stored_events_since(0, 10),
            link,
            patience=self.patience,
            secrets=secrets,
            may_return=("watch()", "identity()"),
        )
        expect_numbers([0], read_all(store), Store.UNAVAILABLE)

    def test_a_wait_whose_connection_fails_raises_nothing(
        self, store: EventStore, new_store: MakeStore, link: Link
    ) -> None:
        need(self.capabilities, Capability.WAKE_UP)
        append(store, numbered(0))
        reader = new_store(via=link.address)
        expect_numbers([0], read_all(reader), Store.WAIT)
        reader.wait(0.05)
        link.refuse()
        link.cut()
        try:
            reader.wait(0.05)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            broken(Store.WAIT_FAILS, f"The database is away, and wait() raised {error!r}.")
        link.admit()

    def test_a_commit_that_fails_is_told_and_stores_nothing(
        self, store: EventStore, new_store: MakeStore, link: Link
    ) -> None:
        append(store, numbered(0))
        writer = new_store(via=link.address)
        # On a thread of its own: behind a reset, Python's ssl also blames a sound connection that
        # the same thread uses next (python/cpython issue 148594).
        with ThreadPoolExecutor(1) as elsewhere:
            elsewhere.submit(_cut_off_before_the_commit, writer, link).result()
        expect_numbers([0], read_all(store), Store.TRANSACTION)
        link.admit()


def _cut_off_before_the_commit(writer: EventStore, link: Link) -> None:
    read_all(writer)
    try:
        with writer.transaction() as transaction:
            writer.append(transaction, numbered(1))
            link.refuse()
            link.cut()
    except EventStoreError:
        pass
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        broken(Store.COMMIT, f"Cut off before its commit, transaction() raised {error!r}.")
    else:
        broken(Store.COMMIT, "Cut off before its commit, and transaction() raised nothing.")
