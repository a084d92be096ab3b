from __future__ import annotations

from typing import TYPE_CHECKING

from tests.servers import free_port

if TYPE_CHECKING:
    from tests.command import Project


def test_listening_to_a_producer_that_nobody_can_read_is_a_clear_error(project: Project) -> None:
    result = project.run("listen", "orders")

    assert result.code == 2
    assert "no consumer 'jsonlines'" in result.err


def test_listening_by_key_where_nobody_can_choose_is_a_clear_error(
    project: Project,
) -> None:
    project.configure(
        '[event_store]\nurl = "sqlite:///events.db"\n'
        '[exchanges.orders]\nproducer = "activemq"\n'
        '[producers.activemq]\nurl = "stomp://localhost:61613"\n'
    )

    result = project.run("listen", "orders", "--routing-key", "shop.*")

    assert result.code == 2
    assert "cannot choose by routing key" in result.err


def test_listening_to_a_partition_of_what_is_not_parted_is_a_clear_error(
    project: Project,
) -> None:
    project.configure(
        '[event_store]\nurl = "sqlite:///events.db"\n[exchanges.orders]\nproducer = "zeromq-pub"\n'
        '[producers.zeromq-pub]\nbind = "tcp://127.0.0.1:5557"\n'
    )

    result = project.run("listen", "orders", "--partition", "3")

    assert result.code == 2
    assert "set partition_by and partitions" in result.err


def test_a_file_that_is_shared_with_the_relay_serves_a_consumer_without_its_variables(
    empty: Project,
) -> None:
    empty.configure(
        '[event_store]\nurl = "${EVENTS_URL}"\n[exchanges.orders]\nproducer = "zeromq"\n'
        f'[producers.zeromq]\nbind = "tcp://127.0.0.1:{free_port()}"'
    )
    lack = "event_store.url: the environment variable EVENTS_URL is not set."

    assert empty.succeed("listen", "--timeout", "0.2").err == ""
    check, run = empty.run("check"), empty.run("run")
    assert (check.code, run.code) == (2, 2)
    assert lack in check.out
    assert lack in run.err


def test_a_consumer_does_without_the_variables_of_other_exchanges(empty: Project) -> None:
    empty.configure(
        '[event_store]\nurl = "sqlite:///events.db"\n[exchanges.orders]\nproducer = "zeromq"\n'
        '[exchanges.audit]\nproducer = "rabbitmq"\n[producers.rabbitmq]\nurl = "${MQ_URL}"\n'
        f'[producers.zeromq]\nbind = "tcp://127.0.0.1:{free_port()}"'
    )
    lack = "producers.rabbitmq.url: the environment variable MQ_URL is not set."

    assert empty.succeed("listen", "orders", "--timeout", "0.2").err == ""
    for command in (["listen", "audit"], ["run", "orders"], ["status"], ["init", "--tables"]):
        result = empty.run(*command)
        assert (result.code, result.err.count(lack)) == (2, 1)
