"""Whether a text is JSON."""

from __future__ import annotations

import pydantic_core

from tidings.event import from_json


def check_json(text: str) -> None:
    """Raise ``ValueError``, with the reason, if ``text`` is not strict JSON (no NaN).

    :func:`~tidings.event.from_json` has the last word. It is asked only about what pydantic's
    parser refuses. That one is up to four times as fast, and refuses some odd JSON.
    """
    try:
        pydantic_core.from_json(text, allow_inf_nan=False)
    except (ValueError, TypeError):
        # Nested more than 200 times, or half of a surrogate pair: JSON may be either.
        from_json(text)
