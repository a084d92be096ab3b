from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.command import Project


def test_where_no_id_was_given_out_again_renumber_changes_nothing(project: Project) -> None:
    project.append_numbers(1, 3)
    assert project.succeed("renumber").out == "event store: 0 event(s) got new ids.\n"
    assert project.status("orders")["newest_event_id"] == 3
