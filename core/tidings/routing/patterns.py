"""Which routing keys a subscriber asks for, in the words of RabbitMQ's topic exchanges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_KEPT: Final = 4096


class KeyPatterns:
    """Routing keys, with ``*`` for a word between dots and ``#`` for any number of words.

    Made of patterns: ``KeyPatterns(["order.*"])``.

    The time that a key takes is bounded by its words times those of the patterns, whatever stands
    in them: they may be a stranger's.

    **Threads.** May be used by any number of threads.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self.patterns = tuple(patterns)
        self._plain = frozenset(each for each in self.patterns if not has_wildcards(each))
        self._wild = [words_of(each) for each in self.patterns if has_wildcards(each)]
        self._known: dict[str, bool] = {}

    def match(self, key: str) -> bool:
        """Return whether one of the patterns stands for a routing key."""
        known = self._known.get(key)
        if known is None:
            words = words_of(key)
            known = key in self._plain or any(_matches(each, words) for each in self._wild)
            if len(self._known) >= _KEPT:
                self._known = {}  # those that come again are found again
            self._known[key] = known
        return known


def has_wildcards(pattern: str) -> bool:
    """Return whether a pattern stands for more than the key that it is itself."""
    return any(word in {"*", "#"} for word in pattern.split("."))


def words_of(key: str) -> list[str]:
    """Return what stands between the dots; an empty key has no words."""
    return key.split(".") if key else []


def _matches(pattern: Sequence[str], words: Sequence[str]) -> bool:
    # How much of the pattern the words so far may stand for.
    places = _behind_hashes(pattern, {0})
    for word in words:
        after = {
            place if pattern[place] == "#" else place + 1
            for place in places
            if place < len(pattern) and pattern[place] in {"#", "*", word}
        }
        places = _behind_hashes(pattern, after)
    return len(pattern) in places


def _behind_hashes(pattern: Sequence[str], places: set[int]) -> set[int]:
    """Add the places that a ``#`` for no word leads to."""
    for place in sorted(places):
        following = place
        while following < len(pattern) and pattern[following] == "#":
            following += 1
            places.add(following)
    return places
