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
    Observer,
    PublishedMessageTracker,
    Serializer,
)
from tidings.plugins import answers
from tidings.plugins.secrets import without_secrets
from tidings.plugins.specs import (
    EventStoreSpec,
    MessageConsumerSpec,
    MessageProducerSpec,
    ObserverSpec,
    SerializerSpec,
    TrackerSpec,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tidings.plugins.specs import Settings, Spec

MAKES: Mapping[type[Spec], type] = {
    MessageProducerSpec: MessageProducer,
    MessageConsumerSpec: MessageConsumer,
    EventStoreSpec: EventStore,
    TrackerSpec: PublishedMessageTracker,
    SerializerSpec: Serializer,
    ObserverSpec: Observer,
}

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


def make(what: str, spec: Spec, given: Settings, *arguments: object) -> Any:
    """Call the spec's factory, and see that it made what it should; hold that to its interface."""
    made = call(what, spec, "factory", given, *arguments)
    if not isinstance(made, MAKES[type(spec)]):
        raise BrokenPluginError(
            f"{what}: its factory returned {type(made).__name__}; "
            f"a tidings.plugins.{MAKES[type(spec)].__name__} is wanted."
        )
    if isinstance(made, _CAPABLE):
        _check_capabilities(what, given, made)
    if blame.is_strange(type(made).__module__):
        answers.hold(what, made, MAKES[type(spec)])
    return made


def call(what: str, spec: Spec, field: str, given: Settings, *arguments: object) -> Any:
    """Call what a spec has in that field; import it first if it is text."""
    function: Any = getattr(spec, field)
    if isinstance(function, str):
        function = _imported(what, field, function)
    fault = "could not be made" if field == "factory" else f"has a broken `{field}`"
    return _guarded(f"{what} {fault}", given, function, *arguments)


def _imported(what: str, field: str, place: str) -> Any:
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
