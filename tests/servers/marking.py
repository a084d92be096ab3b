"""Which tests need a server: they get the mark `server`, so that `make quick` leaves them out.

A test needs one if it mentions `servers`, `missing` or a class of servers. So it does if a function
of its module that it calls, or a fixture that it uses, mentions one, however indirectly. A fixture
may also be asked for by its name while the test runs. Then the parameters say whether it is a
server's; without parameters, the name in the code does.

What escapes this is found when it runs: a server does not start for a test without the mark.
"""

from __future__ import annotations

import inspect
from functools import cache
from types import FunctionType
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers import marked
from tests.servers.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import CodeType

NAMES = ("rabbitmq", "activemq", "redis", "postgresql", "mariadb", "prometheus")
"""What the fixtures of servers are called, or begin or end with."""

STARTING = {"servers", "missing"}
"""Functions that start a server, or skip the test that needs one."""


def mark(items: Iterable[pytest.Item]) -> None:
    """Give the tests among `items` that need a server the mark `server`."""
    for item in items:
        if isinstance(item, pytest.Function) and needs_server(item):
            item.add_marker(pytest.mark.server)
        if item.get_closest_marker("server") is not None:
            marked.TESTS.add(item.nodeid)


def needs_server(item: pytest.Function) -> bool:
    """Return whether the test, or a fixture that it uses, starts a server."""
    return any(_starts(function) or _asks(function, given) for function, given in _used_by(item))


def _used_by(item: pytest.Function) -> Iterator[tuple[FunctionType, list[str]]]:
    """Give the functions of a test and its fixtures, each with the parameters that it is given."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    test = _function(item.function)
    yield test, _texts(parameters.values())
    definitions = dict(item._fixtureinfo.name2fixturedefs)  # noqa: SLF001 - pytest tells of it nowhere else
    waiting = [*definitions, *_asked_for(test)]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        manager = item.session._fixturemanager  # noqa: SLF001 - as above
        found = definitions.get(name) or manager.getfixturedefs(name, item)
        for fixture in found or ():
            function = _function(fixture.func)
            yield function, _texts([parameters[name]] if name in parameters else [])
            waiting += [*fixture.argnames, *_asked_for(function)]


def _asked_for(function: FunctionType) -> list[str]:
    """Return what may be the names of fixtures that it asks for while it runs."""
    return _constants(function) if "getfixturevalue" in _mentioned(function) else []


def _function(given: Callable[..., object]) -> FunctionType:
    plain: Any = getattr(given, "__func__", given)  # a fixture may be a method
    function: FunctionType = inspect.unwrap(plain)
    return function


def _texts(values: Iterable[object]) -> list[str]:
    return [each for each in values if isinstance(each, str)]


@cache
def _starts(function: FunctionType) -> bool:
    for each in _with_helpers(function):
        for name in _mentioned(each):
            value = each.__globals__.get(name)
            if isinstance(value, type) and issubclass(value, Server):
                return True
            if name in STARTING and callable(value):
                return True
    return False


def _with_helpers(function: FunctionType) -> Iterator[FunctionType]:
    """Give the function, and those of its module that it calls."""
    waiting, seen = [function], {function}
    while waiting:
        each = waiting.pop()
        yield each
        for name in _mentioned(each):
            called = each.__globals__.get(name)
            if not isinstance(called, FunctionType) or called in seen:
                continue
            if called.__module__ == each.__module__:
                seen.add(called)
                waiting.append(called)


def _asks(function: FunctionType, parameters: list[str]) -> bool:
    if "getfixturevalue" not in _mentioned(function):
        return False
    return any(name in text for text in parameters or _constants(function) for name in NAMES)


@cache
def _constants(function: FunctionType) -> list[str]:
    return _texts(constant for code in _codes(function) for constant in code.co_consts)


@cache
def _mentioned(function: FunctionType) -> set[str]:
    return {name for code in _codes(function) for name in code.co_names}


def _codes(function: FunctionType) -> Iterator[CodeType]:
    """Give the code of a function and of those inside of it."""
    waiting = [function.__code__]
    while waiting:
        code = waiting.pop()
        yield code
        waiting += [each for each in code.co_consts if inspect.iscode(each)]
