"""One fault that is planted into an example, by changing one piece of its text."""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    """In this file, this text becomes that."""

    file: str
    text: str
    becomes: str

    why: str = ""
    """Why it breaks no promise, if it doesn't."""
