"""The environment overrides the file, and fills in what the file leaves to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.config.conftest import MEMORY
from tidings import ConfigurationError

if TYPE_CHECKING:
    from tests.config.conftest import Load, Problems

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


def test_every_missing_variable_is_named_with_its_place(problems: Problems) -> None:
    found = problems(
        ONE + 'backend = "jsonlines"\npath = "${A}${B}"\n'
        '[exchanges.b]\nproducer = "memory"\nevents = ["x", "${C}"]'
    )

    assert found == [
        "exchanges.b.events[1]: the environment variable C is not set.",
        "producers.archive.path: the environment variable A is not set.",
        "producers.archive.path: the environment variable B is not set.",
    ]


def test_a_variable_that_several_keys_ask_for_gives_one_line(problems: Problems) -> None:
    found = problems(
        '[event_store]\nurl = "postgresql://app:${PASSWORD}@db/${DB}"\n'
        '[relay]\nlease_seconds = "${SECONDS}"\n'
        '[exchanges.b]\nproducer = "${P}"\n[exchanges.c]\nproducer = "mq"\nbatch_size = "${N}"\n'
        '[producers.mq]\nbackend = "${B}"\nurl = "amqp://${PASSWORD}@${HOST}:${PORT}/"'
    )

    assert found == [
        "event_store.url, producers.mq.url: the environment variable PASSWORD is not set.",
        *[
            f"{key}: the environment variable {name} is not set."
            for key, name in {
                "event_store.url": "DB",
                "relay.lease_seconds": "SECONDS",
                "exchanges.b.producer": "P",
                "exchanges.c.batch_size": "N",
                "producers.mq.backend": "B",
            }.items()
        ],
        "producers.mq.url: the environment variable HOST is not set.",
        "producers.mq.url: the environment variable PORT is not set.",
    ]


def test_beside_an_unset_variable_other_problems_are_told(problems: Problems) -> None:
    found = problems(
        MEMORY + '[exchanges.a]\nproducer = "rabbitmq"\nbatch_size = 0\n'
        '[producers.rabbitmq]\nurl = "${URL}"\nwindow = "many"'
    )

    assert [problem.partition(": ")[0] for problem in found] == [
        "producers.rabbitmq.url",
        "exchanges.a.batch_size",
        "producers.rabbitmq.window",
    ]


@pytest.mark.parametrize("group", ["producers", "sources", "serializers"])
def test_an_unset_variable_in_a_table_that_is_not_used_is_no_problem(
    load: Load, group: str
) -> None:
    load(
        MEMORY + '[exchanges.a]\nproducer = "memory"\n'
        f'[{group}.other]\nbackend = "${{B}}"\nurl = ["${{UNSET}}"]'
    )


SHARED = """
[event_store]
url = "${EVENTS_URL}"
[tracker]
url = "${POSITIONS_URL}"
[exchanges.a]
producer = "zeromq"
[producers.zeromq]
bind = "tcp://127.0.0.1:1"
"""


def test_a_consumer_does_without_the_relays_variables(load: Load) -> None:
    tidings = load(SHARED)

    assert tidings.consumer("a", "billing")
    for needed in (tidings.event_store, lambda: tidings.tracker, lambda: tidings.worker(["a"])):
        with pytest.raises(ConfigurationError) as caught:
            needed()
        assert caught.value.problems == [
            "event_store.url: the environment variable EVENTS_URL is not set.",
            "tracker.url: the environment variable POSITIONS_URL is not set.",
        ]


def test_beside_the_consumers_own_problems_the_relays_variables_are_told(
    problems: Problems,
) -> None:
    for text in [SHARED.replace("tcp://127.0.0.1:1", "${BIND}"), SHARED + "windowed = 1"]:
        found = problems(text)

        assert found[0] == "event_store.url: the environment variable EVENTS_URL is not set."
        assert found[-1].startswith("producers.zeromq.")


@pytest.mark.parametrize("group", ["producers", "sources", "serializers"])
def test_an_unset_variable_in_a_table_that_is_used_is_a_problem(
    problems: Problems, group: str
) -> None:
    key = group.removesuffix("s")
    used = {"producer": "memory", key: "in.use"}
    words = "".join(f'{word} = "{value}"\n' for word, value in used.items())

    assert f'{group}."in.use".url[0]: the environment variable UNSET is not set.' in problems(
        MEMORY + f'[exchanges.a]\n{words}[{group}."in.use"]\nurl = ["${{UNSET}}"]'
    )


@pytest.mark.parametrize("environ", [{}, {"DIR": ""}])
def test_a_default_stands_in_for_what_is_unset_or_empty(
    load: Load, environ: dict[str, str]
) -> None:
    text = ONE + 'backend = "jsonlines"\npath = "${DIR:-/var/a-b:c}/$${DIR}${NONE:-}"'

    table = load(text, environ).configuration.producers["archive"]
    assert table.settings() == {"path": "/var/a-b:c/${DIR}"}
    table = load(text, {"DIR": "/srv"}).configuration.producers["archive"]
    assert table.settings() == {"path": "/srv/${DIR}"}


@pytest.mark.parametrize(
    "text", ["${", "${}", "${A-b}", "${A:?no}", "${1}", "${A", "${A:-{exchange}}", "${A:-${B}}"]
)
def test_a_reference_that_is_not_understood_is_a_problem(problems: Problems, text: str) -> None:
    problem = problems(ONE + f'backend = "jsonlines"\npath = "x{text}"', {"A": "1", "B": "2"})[0]

    assert problem.startswith("producers.archive.path: a ${ that is not understood. Write ${NAME}")


@pytest.mark.parametrize(
    "value", ["Order*,Invoice*", "[Order*, InvoiceSent]", "Order* Invoice*", "Order*", "", '["a",']
)
def test_a_list_by_a_variable_has_one_form(problems: Problems, value: str) -> None:
    found = problems(
        MEMORY + '[exchanges.a]\nproducer = "memory"\n[exchanges.b]\nproducer = "zeromq"',
        {"TIDINGS_EXCHANGES__A__EVENTS": value, "TIDINGS_PRODUCERS__ZEROMQ__SUBSCRIBERS": value},
    )

    assert found == [
        f'{key}: a list is wanted: ["one", "two"], by environment variable too.'
        for key in ["exchanges.a.events", "producers.zeromq.subscribers"]
    ]


@pytest.mark.parametrize("pattern", ["", " ", "Order* "])
def test_a_pattern_that_can_match_nothing_is_refused(problems: Problems, pattern: str) -> None:
    found = problems(
        MEMORY + '[exchanges.a]\nproducer = "memory"',
        {"TIDINGS_EXCHANGES__A__EVENTS": f'["Order*", "{pattern}"]'},
    )

    assert found == [f"exchanges.a.events[1]: {pattern!r} matches no type name."]


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


def test_a_variable_that_may_mean_two_names_is_refused(problems: Problems) -> None:
    found = problems(
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


def test_a_variable_below_what_is_no_table_is_refused(problems: Problems) -> None:
    found = problems(
        MEMORY + '[exchanges.a]\nproducer = "memory"', {"TIDINGS_EXCHANGES__A__PRODUCER__URL": "x"}
    )

    assert found == ["TIDINGS_EXCHANGES__A__PRODUCER__URL: producer is not a table."]


@pytest.mark.parametrize("variable", ["TIDINGS_EVENT_STOR__URL", "TIDINGS___X", "TIDINGS_A____B"])
def test_a_misspelt_variable_is_a_problem(problems: Problems, variable: str) -> None:
    (problem,) = problems(MEMORY, {variable: "x"})

    assert "unknown word" in problem


def test_variables_of_others_are_left_alone(load: Load) -> None:
    environ = {"TIDINGS_CONFIG": "elsewhere", "TIDINGS_DEBUG": "1", "OTHER__EVENT_STORE__URL": "x"}

    assert load(MEMORY, environ).configuration.event_store.settings() == {}
