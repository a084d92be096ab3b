"""Says whose fault an error is that nobody raised on purpose."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from tidings.errors import TidingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import CodeType

OURS = "tidings"

_lock = threading.Lock()
_strangers: dict[str, _Stranger] = {}


class _Stranger(NamedTuple):
    what: str
    hidden: Callable[[str], str]


def know(module: str, what: str, hidden: Callable[[str], str]) -> None:
    """Know that the package of ``module`` is of ``what``; ``hidden`` takes secrets out of a text.

    **Threads.** May be called from any thread, as everything here.
    """
    if is_strange(module):
        with _lock:
            _strangers[module.rpartition(".")[0] or module] = _Stranger(what, hidden)


def is_strange(module: str) -> bool:
    """Return whether a plugin has brought that module, and not tidings' core."""
    return module.partition(".")[0] != OURS


def sentence_of(error: BaseException) -> str:
    """Return what is said of an error: its own sentence, or what the fault was, and whose."""
    if isinstance(error, TidingsError):
        return str(error)
    said = f"{type(error).__name__}: {error}"
    found = _nearest(error)
    if found is None:
        return said
    stranger, code = found
    return f"{stranger.what} failed in {code.co_qualname}: {stranger.hidden(said)}"


def is_of_a_plugin(error: BaseException) -> bool:
    """Return whether a plugin raised it, or let it through."""
    return _nearest(error) is not None


def _nearest(error: BaseException) -> tuple[_Stranger, CodeType] | None:
    """Return the plugin that was called last before it was raised, and what of it we called."""
    found = None
    inside = False
    for module, code in _calls(error):
        if module.partition(".")[0] == OURS:
            inside = False
        elif not inside and (stranger := _stranger(module)):
            found, inside = (stranger, code), True
    return found


def _calls(error: BaseException) -> Iterator[tuple[str, CodeType]]:
    step = error.__traceback__
    while step is not None:
        yield str(step.tb_frame.f_globals.get("__name__", "")), step.tb_frame.f_code
        step = step.tb_next


def _stranger(module: str) -> _Stranger | None:
    with _lock:
        known = dict(_strangers)
    while module:
        if module in known:
            return known[module]
        module = module.rpartition(".")[0]
    return None
