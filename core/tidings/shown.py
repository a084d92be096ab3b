"""Foreign text, made fit to be shown: on a terminal, in a log, in a table, in JSON."""

from __future__ import annotations

import logging
import re

from typing_extensions import override

_UNFIT = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # control characters: line ends, ESC, and what C1 begins
    "\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff"  # halves of a character, which no encoding holds
    "\U000e0000-\U000e0fff"  # tags, which nobody sees
    "]"
)
"""What moves the cursor, ends a line, or turns or hides the text around it. Not the joiners and
spaces that names in some scripts are written with."""
_UNFIT_IN_JSON = re.compile(_UNFIT.pattern.replace("\x00-\x1f", ""))


def shown(text: object) -> str:
    r"""Return ``text`` in one line that shows all it holds: ``\n``, ``\x1b``, ``\u202e``."""
    line = str(text)
    if line.isprintable():  # so are nearly all
        return line
    return _UNFIT.sub(lambda found: found[0].encode("unicode_escape").decode(), line)


def shown_json(text: str) -> str:
    r"""Return JSON text with such characters as ``\u`` escapes: it holds the same values."""
    if text.isascii() and "\x7f" not in text:
        return text
    return _UNFIT_IN_JSON.sub(lambda found: escaped(found[0]), text)


def escaped(text: str) -> str:
    r"""Return every character of ``text`` as JSON's ``\u`` escapes."""
    units = text.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


class _Shown(logging.Filter):
    """Escapes what is put into a message of ours: event types, sentences of brokers."""

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                arg if isinstance(arg, int | float) else shown(arg) for arg in record.args
            )
        return True


_SHOWN = _Shown()


def escaping_logger(name: str) -> logging.Logger:
    """Return the logger of that name; whoever formats its records gets no foreign text as it is."""
    log = logging.getLogger(name)
    log.addFilter(_SHOWN)
    return log
