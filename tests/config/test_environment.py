"""The environment overrides the file, and fills in what the file leaves to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.config.conftest import MEMORY

if TYPE_CHECKING:
    from tests.config.conftest import Faults, Load

ONE = MEMORY + '[exchanges.my-bc-app]\nproducer = "archive"\n[producers.archive]\n'


def test_a_name_in_a_value_is_read_from_the_environment(load: Load) -> None:
    tidings = load(
        ONE + 'backend = "jsonlines"\npath = "/${A}/${B_2}/${A}$A"', {"A": "x", "B_2": "${A}"}
    )

    table = tidings.configuration.producers["archive"]
    assert table.settings() == {"path": "/x/${A}/x$A"}


def test_a_name_in_a_list_is_read_from_the_environment(load: Load) -> None:
    text = MEMORY + '[exchanges.a]\nproducer = "memory"\nevents = ["${TYPE}.*", "b"]'

    assert load(text, {"TYPE": "order"}).configuration.exchanges["a"].events == ["order.*", "b"]


def test_every_missing_variable_is_named_with_its_place(faults: Faults) -> None:
    found = faults(
        ONE + 'backend = "jsonlines"\npath = "${A}${B}"\n'
        '[exchanges.b]\nproducer = "memory"\nevents = ["x", "${C}"]'
    )

    assert found == [
        "exchanges.b.events[1]: the environment variable C is not set.",
        "producers.archive.path: the environment variable A is not set.",
        "producers.archive.path: the environment variable B is not set.",
    ]


def test_a_variable_overrides_what_the_file_says(load: Load) -> None:
    tidings = load(
        ONE + 'backend = "jsonlines"\npath = "from-file"',
        {"TIDINGS_PRODUCERS__ARCHIVE__PATH": "from-environment"},
    )

    assert tidings.configuration.producers["archive"].settings() == {"path": "from-environment"}


def test_a_variable_overrides_a_reference_that_nobody_fills_in(load: Load) -> None:
    tidings = load(
        ONE + 'backend = "jsonlines"\npath = "${UNSET}"',
        {"TIDINGS_PRODUCERS__ARCHIVE__PATH": "from-environment"},
    )

    assert tidings.configuration.producers["archive"].settings() == {"path": "from-environment"}


def test_a_variables_value_is_taken_as_it_is(load: Load) -> None:
    tidings = load(
        ONE + 'backend = "jsonlines"',
        {"TIDINGS_PRODUCERS__ARCHIVE__PATH": "${HOME}/[x", "HOME": "/"},
    )

    assert tidings.configuration.producers["archive"].settings() == {"path": "${HOME}/[x"}


def test_a_variable_finds_a_name_with_dashes_and_dots(load: Load) -> None:
    tidings = load(
        MEMORY + '[exchanges."my-bc.app"]\nproducer = "memory"',
        {"TIDINGS_EXCHANGES__MY_BC_APP__BATCH_SIZE": "7"},
    )

    assert tidings.configuration.exchanges["my-bc.app"].batch_size == 7
    assert list(tidings.configuration.exchanges) == ["my-bc.app"]


def test_a_variable_that_may_mean_two_names_is_refused(faults: Faults) -> None:
    found = faults(
        MEMORY + '[exchanges.a-b]\nproducer = "memory"\n[exchanges.a_b]\nproducer = "memory"',
        {"TIDINGS_EXCHANGES__A_B__BATCH_SIZE": "7"},
    )

    assert found == [
        "TIDINGS_EXCHANGES__A_B__BATCH_SIZE: this may mean a-b or a_b; set it in the file."
    ]


def test_variables_alone_can_be_the_configuration(load: Load) -> None:
    tidings = load(
        "",
        {
            "TIDINGS_EVENT_STORE__BACKEND": "memory",
            "TIDINGS_EXCHANGES__ORDERS__PRODUCER": "memory",
            "TIDINGS_EXCHANGES__ORDERS__EVENTS": '["order.*", "${X}"]',
            "TIDINGS_RELAY__LEASE_SECONDS": "2.5",
        },
    )

    assert tidings.configuration.exchanges["orders"].events == ["order.*", "${X}"]
    assert tidings.configuration.relay.lease_seconds == 2.5


def test_a_table_can_be_overridden_as_a_whole(load: Load) -> None:
    tidings = load(
        ONE + 'backend = "rabbitmq"\nurl = "amqp://a/"',
        {
            "TIDINGS_PRODUCERS__ARCHIVE": '{backend = "jsonlines", path = "a"}',
            "TIDINGS_PRODUCERS__ARCHIVE__PATH": "b",
        },
    )

    table = tidings.configuration.producers["archive"]
    assert (table.backend, table.settings()) == ("jsonlines", {"path": "b"})


def test_a_variable_below_what_is_no_table_is_refused(faults: Faults) -> None:
    found = faults(
        MEMORY + '[exchanges.a]\nproducer = "memory"', {"TIDINGS_EXCHANGES__A__PRODUCER__URL": "x"}
    )

    assert found == ["TIDINGS_EXCHANGES__A__PRODUCER__URL: producer is not a table."]


@pytest.mark.parametrize("variable", ["TIDINGS_EVENT_STOR__URL", "TIDINGS___X", "TIDINGS_A____B"])
def test_a_misspelt_variable_is_a_fault(faults: Faults, variable: str) -> None:
    (fault,) = faults(MEMORY, {variable: "x"})

    assert "unknown word" in fault


def test_variables_of_others_are_left_alone(load: Load) -> None:
    environ = {"TIDINGS_CONFIG": "elsewhere", "TIDINGS_DEBUG": "1", "OTHER__EVENT_STORE__URL": "x"}

    assert load(MEMORY, environ).configuration.event_store.settings() == {}
