"""Everything that is wrong with a configuration is told at once, and where it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.config.conftest import MEMORY
from tidings import ConfigurationError, Tidings
from tidings.config import parse

if TYPE_CHECKING:
    from tests.config.conftest import Load, Problems


def shortened(found: list[str]) -> list[str]:
    """Leave out the lists of backends: they grow."""
    return [re.sub(r"Known are: .*, .*", "Known…", problem) for problem in found]


def test_problems_of_structure_and_of_plugins_come_together(problems: Problems) -> None:
    found = problems("""
        evnt_store = 1
        [event_store]
        url = "oracle://host/db"
        [relay]
        lease_seconds = 0
        [exchanges.a]
        producer = "rabit"
        batch_size = "many"
        [exchanges."b.c"]
        produceer = "zeromq"
        [exchanges."bad name"]
        producer = "memory"
        [exchanges.d]
        producer = "jsonlines"
        serializer = "jsn"
        [producers.jsonlines]
        pth = "x"
        url = "${NOBODY}"
        [observers.metrics]
    """)

    assert shortened(found) == [
        "producers.jsonlines.url: the environment variable NOBODY is not set.",
        "relay.lease_seconds: Input should be greater than or equal to 1.",
        (
            "exchanges.a.batch_size: Input should be a valid integer, unable to parse string as an "
            "integer."
        ),
        'exchanges."b.c".producer: missing.',
        "exchanges.\"b.c\".produceer: unknown word. Did you mean 'producer'?",
        (
            'exchanges."bad name": an exchange\'s name has 1 to 127 letters, digits, dots, '
            "dashes or "
            "underscores, and begins with a letter or digit."
        ),
        "evnt_store: unknown word. Did you mean 'event_store'?",
        (
            "event_store.url: names the database 'oracle', which tidings does not know; write one "
            "such as sqlite:///events.db, postgresql://user:password@host:5432/database or "
            "mysql://user:password@host:3306/database."
        ),
        ("exchanges.a.producer: There is no producer 'rabit'. Did you mean 'rabbitmq'? Known…"),
        "producers.jsonlines.pth: unknown word. Did you mean 'path'?",
        ("exchanges.d.serializer: There is no serializer 'jsn'. Did you mean 'json'? Known…"),
        "observers.metrics: There is no observer 'metrics'. Known…",
    ]


def test_each_problem_is_said_to_be_in_the_file(load: Load, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load("a = 1\nb = 2")

    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert all(line.startswith(f"{tmp_path / 'tidings.toml'}: ") for line in lines)


def test_a_misspelt_table_of_producers_gets_a_hint_at_the_table(problems: Problems) -> None:
    found = problems(
        MEMORY + '[exchanges.a]\nproducer = "archve"\n'
        '[producers.archive]\nbackend = "jsonlines"\npath = "x"'
    )

    assert shortened(found) == [
        ("exchanges.a.producer: There is no producer 'archve'. Did you mean 'archive'? Known…")
    ]


def test_a_table_of_the_same_wrong_name_is_no_hint(problems: Problems) -> None:
    found = problems(
        MEMORY + '[exchanges.a]\nproducer = "json-lines"\n[producers.json-lines]\npath = "x"'
    )

    assert shortened(found) == [
        (
            "exchanges.a.producer: There is no producer 'json-lines'. Did you mean 'jsonlines'? "
            "Known…"
        )
    ]
    assert "json-lines" not in found[0].partition("Known are")[2]


def test_a_missing_setting_is_asked_for_where_it_belongs(problems: Problems) -> None:
    assert problems(MEMORY + '[exchanges.a]\nproducer = "rabbitmq"') == [
        "producers.rabbitmq.url: missing."
    ]


def test_a_producer_that_no_exchange_uses_is_no_problem(load: Load) -> None:
    tidings = load(MEMORY + "[producers.not-installed]\nurl = 1")

    assert tidings.configuration.producers.keys() == {"not-installed"}


@pytest.mark.parametrize("name", ["a", "my-bc-app", "a.b_c", "1", "x" * 127])
def test_a_good_name_of_an_exchange_is_taken(load: Load, name: str) -> None:
    tidings = load(f'{MEMORY}[exchanges."{name}"]\nproducer = "memory"')

    assert tidings.default_exchange() == name


@pytest.mark.parametrize("name", ["", " ", "-a", ".a", "a/b", "a b", "ä", "a\\n", "x" * 128, "a:b"])
def test_a_name_that_some_broker_cannot_hold_is_refused(problems: Problems, name: str) -> None:
    (problem,) = problems(f'{MEMORY}[exchanges."{name}"]\nproducer = "memory"')

    assert "an exchange's name has 1 to 127 letters" in problem


@pytest.mark.parametrize(
    ("value", "setting"),
    [("0", "batch_size"), ("100001", "batch_size"), ("1.5", "batch_size"), ('"a"', "batch_size")],
)
def test_a_value_out_of_bounds_is_refused(problems: Problems, value: str, setting: str) -> None:
    (problem,) = problems(f'{MEMORY}[exchanges.a]\nproducer = "memory"\n{setting} = {value}')

    assert problem.startswith(f"exchanges.a.{setting}: ")


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "0", "3601"])
def test_a_lease_that_never_ends_or_never_begins_is_refused(problems: Problems, value: str) -> None:
    (problem,) = problems(f"{MEMORY}[relay]\nlease_seconds = {value}")

    assert problem.startswith("relay.lease_seconds: ")


toml = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=5) | st.sampled_from(["a", "producer", "backend"]), inner
        )
    ),
    max_leaves=8,
)
tables = st.sampled_from(
    ["event_store", "tracker", "relay", "exchanges", "producers", "serializers", "observers", "x"]
)


@given(st.dictionaries(tables, toml))
def test_whatever_the_file_holds_it_is_parsed_or_explained(data: dict[str, Any]) -> None:
    configuration, problems = parse(data)

    assert problems or configuration.model_dump(exclude_unset=True).keys() == data.keys()
    assert all(problem.endswith(".") and ": " in problem for problem in problems)


def test_without_a_file_init_is_offered(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"There is no .*/none.toml. Run `tidings init`"):
        Tidings.from_file(tmp_path / "none.toml", environ={})


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is a folder; a file is wanted"):
        Tidings.from_file(tmp_path, environ={})


def test_a_file_within_a_file_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a").touch()

    with pytest.raises(ConfigurationError, match=r"Cannot read .*: Not a directory"):
        Tidings.from_file(tmp_path / "a" / "tidings.toml", environ={})


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="there is no /proc/self/mem")
def test_a_file_that_the_system_cannot_read_is_named() -> None:
    # Everybody's own memory: a file that is there, and whose first page nobody can read.
    with pytest.raises(ConfigurationError, match="Cannot read /proc/self/mem: Input/output error"):
        Tidings.from_file("/proc/self/mem", environ={})


def test_what_is_not_toml_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "tidings.toml"
    path.write_text('[event_store]\nurl = "s3cret', encoding="utf-8")

    with pytest.raises(ConfigurationError, match=r"Not TOML: .*\(at .*\)") as caught:
        Tidings.from_file(path, environ={})
    assert "s3cret" not in str(caught.value)


def test_what_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tidings.toml"
    path.write_bytes(b"[event_store]\nurl = '\xff'")

    with pytest.raises(ConfigurationError, match="is not UTF-8 text"):
        Tidings.from_file(path, environ={})


def test_the_mark_that_windows_editors_write_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "tidings.toml"
    path.write_bytes(b"\xef\xbb\xbf" + MEMORY.encode())

    assert Tidings.from_file(path, environ={}).configuration.event_store.backend == "memory"


def test_the_path_is_taken_from_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text(MEMORY, encoding="utf-8")

    tidings = Tidings.from_file(environ={"TIDINGS_CONFIG": str(path)})

    assert tidings.configuration.event_store.backend == "memory"


@pytest.mark.parametrize("value", ["inf", "nan"])
def test_a_time_without_an_end_is_refused(problems: Problems, value: str) -> None:
    found = problems(
        MEMORY + f'[exchanges.a]\nproducer = "zeromq"\n[relay]\npoll_seconds = {value}\n'
        f"[producers.zeromq]\nno_progress_timeout = {value}"
    )

    assert len(found) == 2, found
    assert all("finite number" in problem or "less than" in problem for problem in found)
