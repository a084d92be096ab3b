"""Every call of a store or a tracker while its database is away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tidings.errors import StoreUnavailableError
from tidings.testing._judging import broken, check
from tidings.testing.promises import Producer, Store
from tidings.testing.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from tidings.testing.proxy import Link


def expect_unavailable(
    calls: Mapping[str, Callable[[], Any]],
    works: Callable[[], Any],
    link: Link,
    *,
    patience: float,
    secrets: Sequence[str],
    may_return: Collection[str] = (),
) -> None:
    """Cut the database off before each call; fail unless it says so, and works again after it.

    ``works`` is a call that needs the database. Those in ``may_return`` may also know the answer.
    """
    for name, call in calls.items():
        _expect_back(works, link, patience)
        link.refuse()
        link.cut()
        try:
            call()
        except StoreUnavailableError as error:
            for secret in secrets:
                shown = f"{error} {error!r}".replace(secret, "<the secret>")
                check(secret not in f"{error} {error!r}", Producer.NO_SECRET, f"{name}: {shown}")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
            broken(Store.UNAVAILABLE, f"The database is away, and {name} raised {error!r}.")
        else:
            check(
                name in may_return,
                Store.UNAVAILABLE,
                f"The database is away, and {name} raised nothing.",
            )
    _expect_back(works, link, patience)


def _expect_back(works: Callable[[], Any], link: Link, patience: float) -> None:
    link.admit()

    def back() -> bool:
        try:
            works()
        except StoreUnavailableError:
            return False
        return True

    check(
        until(back, patience),
        Store.UNAVAILABLE,
        f"The database is back, and {patience:g} s later it is not reached.",
    )
