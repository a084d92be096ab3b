"""The suite for serializers, applied to each planted fault. Run by test_serializer_faults.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typing_extensions import override

from tests.testing import faulty_serializers
from tests.testing.planted import Finding, plant
from tests.testing.test_memory_contract import TestJsonSerializer as Sound

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidings.interfaces import Serializer


class Planted(Sound):
    fault: type[faulty_serializers.Base]

    @pytest.fixture
    @override
    def make_serializer(self) -> Callable[[], Serializer]:
        return self.fault


FAULTS: dict[str, Finding] = {
    "Counts": Finding(
        "the_same_event_gives_the_same",
        ["from the same serializer", "no state, no input or output"],
    ),
    "TellsTheTime": Finding("the_same_event_gives_the_same", ["The same event gave"]),
    "SharesItsBuffer": Finding(
        "threads_do_not_disturb", ["another message than alone", "May be called from any thread."]
    ),
    "ReturnsText": Finding("a_message_is_bytes", ["body: '{}'"]),
    "HeadersOfNone": Finding("a_message_is_bytes", ["not texts: {'aggregate_id': None}"]),
    "TakesAnyText": Finding(
        "a_body_that_is_not_json", ["The body 'NaN' is not JSON", "with a reason for a person"]
    ),
    "RaisesSomethingElse": Finding("a_body_that_is_not_json", ["KeyError"]),
    "SaysNothing": Finding("a_body_that_is_not_json", ["ValueError without a reason"]),
    "SendsNothing": Finding("two_events_differ", ["Two different events gave the same message"]),
}

plant(globals(), Planted, faulty_serializers, FAULTS)
