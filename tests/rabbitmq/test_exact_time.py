"""The time that travels is Python's own text of it, put together faster."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from tidings_rabbitmq.exact_time import EPOCH, SIZE, exact_time


@given(moment=st.datetimes(timezones=st.just(UTC)))
def test_it_is_what_isoformat_says(moment: datetime) -> None:
    text = exact_time(moment, (moment - EPOCH).days)

    assert text.decode() == moment.isoformat(timespec="microseconds")
    assert len(text) == SIZE
