"""Sees that what a plugin brings has methods, and that they return what the interface says.

Otherwise the fault would show somewhere in the relay, and nobody could say whose it is.
"""

from __future__ import annotations

import collections.abc
import contextlib
import inspect
from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, NamedTuple, get_args, get_origin, get_type_hints

from tidings import event, interfaces
from tidings.errors import BrokenPluginError
from tidings.interfaces import OpenExchange

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_NAMES = {
    **vars(collections.abc),
    **vars(contextlib),
    **vars(event),
    **vars(interfaces),
    "timedelta": timedelta,
}
"""What the interfaces import for their annotations alone."""


class _Wanted(NamedTuple):
    """What a method is to return."""

    kinds: tuple[type, ...]
    item: type | None
    """What a sequence is to hold; ``None`` if it is to be no sequence."""
    text: str
    """The same, as the interface writes it."""

    def fits(self, answer: object) -> bool:
        """Return whether it is one of these."""
        if not isinstance(answer, self.kinds):
            return False
        return self.item is None or _are_all(answer, self.item)


class _Checked:
    """A plugin's method, each answer of which is looked at."""

    __slots__ = ("_method", "_name", "_wanted", "_what")

    def __init__(self, what: str, name: str, method: Callable[..., Any], wanted: _Wanted) -> None:
        self._what = what
        self._name = name
        self._method = method
        self._wanted = wanted

    def __call__(self, *arguments: Any, **more: Any) -> Any:
        answer = self._method(*arguments, **more)
        if not self._wanted.fits(answer):
            raise BrokenPluginError(
                f"{self._what}: its {self._name} returned {_described(answer)}; "
                f"{self._wanted.text} is wanted."
            )
        if OpenExchange in self._wanted.kinds:
            self._hold(answer)
        return answer

    def _hold(self, exchange: OpenExchange) -> None:
        try:
            hold(self._what, exchange, OpenExchange)
        except BrokenPluginError:
            with contextlib.suppress(Exception):
                exchange.close()  # nobody else has got it
            raise


def hold(what: str, made: object, interface: type) -> None:
    """Hold ``made``, which a plugin has brought, to its interface from now on.

    Raises :class:`~tidings.errors.BrokenPluginError`, which begins with ``what``, if something else
    stands where a method belongs. A method raises it later if it returns what the interface does
    not know. Of one that is to return nothing, the answer is not looked at.
    """
    for name, wanted in _methods(interface).items():
        method = _method(what, made, name)
        if wanted.kinds != (NoneType,) and not isinstance(method, _Checked):
            vars(made)[name] = _Checked(what, name, method, wanted)


@cache
def _methods(interface: type) -> Mapping[str, _Wanted]:
    """Return what the author of a plugin writes, or may write."""
    return {
        name: _wanted(function)
        for name, function in inspect.getmembers(interface, inspect.isfunction)
        if not name.startswith("_") and not hasattr(function, "__final__")
    }


def _method(what: str, made: object, name: str) -> Any:
    try:
        found: object = getattr(made, name)
    except Exception as error:
        # Its text is left out: it may hold what was being looked at, a password perhaps.
        raise BrokenPluginError(
            f"{what}: its {name} is no method, and raised {type(error).__name__}."
        ) from error
    if not callable(found):
        raise BrokenPluginError(f"{what}: its {name} is no method: {_described(found)}.")
    if inspect.iscoroutinefunction(found) or inspect.isgeneratorfunction(found):
        raise BrokenPluginError(
            f"{what}: its {name} is a coroutine or a generator, which does nothing when it is "
            "called. Write a method that returns when all is done."
        )
    return found


def _wanted(function: Callable[..., object]) -> _Wanted:
    hint = get_type_hints(function, localns=_NAMES)["return"]
    kind = get_origin(hint)
    kinds = get_args(hint) if kind is UnionType else (kind or hint,)
    (item,) = get_args(hint) if kind is Sequence else (None,)
    return _Wanted(kinds, item, function.__annotations__["return"])


def _are_all(answer: object, item: type) -> bool:
    if not isinstance(answer, Sequence) or isinstance(answer, str):
        return False
    return all(isinstance(each, item) for each in answer)


def _described(value: object) -> str:
    """Return what kind of thing it is, and nothing of what it holds."""
    kind = type(value).__name__
    if isinstance(value, list | tuple) and value:
        return f"{kind} of {', '.join(sorted({type(each).__name__ for each in value}))}"
    return "None" if value is None else kind
