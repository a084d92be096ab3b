"""Calls what a plugin brings: whatever goes wrong in it becomes a sentence that names it.

``what`` is the plugin's backend in such a sentence, with its distribution.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tidings import blame
from tidings.errors import BrokenPluginError, TidingsError
from tidings.interfaces import (
    Capability,
    EventStore,
    MessageConsumer,
    MessageProducer,
    PublishedMessageTracker,
)
from tidings.plugins import checked_returns
from tidings.plugins.secrets import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tidings.plugins.kinds import Kind
    from tidings.plugins.specs import Settings, Spec

_CAPABLE = (MessageProducer, MessageConsumer, EventStore, PublishedMessageTracker)
"""What may say that it can do more than all of its kind."""


def settings(what: str, spec: Spec, values: Mapping[str, Any]) -> Settings:
    """Return the spec's settings, or raise pydantic's ``ValidationError``."""
    try:
        return spec.settings.model_validate(values)
    except ValidationError:
        raise
    except Exception as error:
        # Its text is left out: it may hold what was being looked at, a password perhaps.
        raise BrokenPluginError(
            f"{what}: its settings could not be checked: {type(error).__name__} in a validator."
        ) from error


def make(what: str, kind: Kind[Any], spec: Spec, given: Settings, *arguments: object) -> Any:
    """Call the kind's factory, and see that it made what it should; hold that to its interface."""
    factory = _imported(what, "factory", getattr(spec, kind.factory))
    made = _guarded(f"{what} could not be made", given, factory, *arguments)
    if not isinstance(made, kind.interface):
        raise BrokenPluginError(
            f"{what}: its factory returned {type(made).__name__}; "
            f"a tidings.plugins.{kind.interface.__name__} is wanted."
        )
    if isinstance(made, _CAPABLE):
        _check_capabilities(what, given, made)
    if blame.is_strange(type(made).__module__):
        checked_returns.hold(what, made, kind.interface)
    return made


def call(what: str, spec: Spec, field: str, given: Settings, *arguments: object) -> Any:
    """Call what a spec has in that field, beside its factory; import it first if it is text."""
    function = _imported(what, field, getattr(spec, field))
    return _guarded(f"{what} has a broken `{field}`", given, function, *arguments)


def _imported(what: str, field: str, place: Any) -> Any:
    if not isinstance(place, str):
        return place  # the function itself
    module, _, name = place.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except TidingsError:
        raise
    except (Exception, SystemExit) as error:
        raise BrokenPluginError(
            f"{what}: its {field} {place!r} cannot be imported: {type(error).__name__}: {error}"
        ) from error


def _check_capabilities(
    what: str,
    given: Settings,
    made: MessageProducer | MessageConsumer | EventStore | PublishedMessageTracker,
) -> None:
    fault = f"{what} has broken capabilities"
    found: object = _guarded(fault, given, lambda _settings: made.capabilities)
    if not isinstance(found, frozenset) or not all(isinstance(each, Capability) for each in found):
        raise BrokenPluginError(f"{fault}: a frozenset of tidings.plugins.Capability is wanted.")


def _guarded(fault: str, given: Settings, function: Callable[..., Any], *arguments: object) -> Any:
    try:
        return function(given, *arguments)
    except TidingsError:
        raise
    except (Exception, SystemExit) as error:
        reason = without_secrets(f"{type(error).__name__}: {error}", given)
        raise BrokenPluginError(f"{fault}: {reason}") from error
