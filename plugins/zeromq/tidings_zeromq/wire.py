"""What the relay and its subscribers say to each other, as bytes.

Integers are big-endian. A subscriber sends one kind of frame, the *request*::

    2 bytes   b"t1"
    8 bytes   nonce: names the feed that the subscriber listens to; a new one starts a feed
    8 bytes   the newest event id that it has, or -1: "where do I stand?"
    8 bytes   the newest event id whose effect it has stored, or -1
    1, 1      lengths of the two names that follow
              the subscriber's name, the exchange's name, in UTF-8
              the identity of the event store that the ids are of, in ASCII, if it is known

or, if it does not ask for every event, this one, with its *selection*::

    2 bytes   b"t2"
              as above, up to the names
    1 byte    length of the identity that follows
              the identity
              the selection, a JSON object: tidings_zeromq/selection.py says what is in it

The relay sends five kinds, each a single frame: multi-frame messages break when a peer dies
halfway. The *beginning* of a feed::

    1 byte    b"B"
    8 bytes   nonce
    8 bytes   the feed begins after this event id
              the identity of the relay's event store, in ASCII, if it has one

a *gap*, if the subscriber asks for events that were deleted: the feed leaves them out::

    1 byte    b"G"
    8 bytes   nonce
    8 bytes   the oldest event id left; what comes before it, and after the feed so far, is gone

an *omission*, if the subscriber did not ask for what comes next: the feed leaves it out::

    1 byte    b"O"
    8 bytes   nonce
    8 bytes   the newest id in the feed so far
    8 bytes   the newest id that is left out: the subscriber has all that it asked for up to here

a *refusal*, in place of a beginning::

    1 byte    b"R"
    8 bytes   nonce
    8 bytes   0 if the subscriber may ask again, 1 if it is refused for good
              why, in UTF-8

and *events*, one or more, ascending::

    1 byte    b"E"
    8 bytes   nonce
    8 bytes   the id before the first one in the feed: what shows a hole
    then for each event
    4 bytes   how many bytes follow after these 28
    8 bytes   event id
    8 bytes   time: microseconds since 1970-01-01 UTC
    2, 2, 4   lengths of the three texts that follow
              type name, content type, headers (a JSON object, or nothing), in UTF-8
              the body: the rest
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

NO_ID = -1
MAX_STORE = 100
"""Bytes of an event store's identity."""

MAX_SELECTION = 512
"""Bytes of a selection: it travels with each request."""

MAX_REQUEST = 1536
"""Bytes; longer requests are nobody's."""

_MAGIC = b"t1"
_MAGIC_SELECTING = b"t2"
_REQUEST = struct.Struct("!2sQqqBB")
_HEAD = struct.Struct("!cQq")
_ID = struct.Struct("!q")
_BEGINNING_KIND = b"B"
_EVENT_KIND = b"E"
_GAP_KIND = b"G"
_OMISSION_KIND = b"O"
_REFUSAL_KIND = b"R"
_KINDS = frozenset({_BEGINNING_KIND, _EVENT_KIND, _GAP_KIND, _OMISSION_KIND, _REFUSAL_KIND})


class WireError(ValueError):
    """Bytes that are none of ours."""


class Request(NamedTuple):
    """What a subscriber says."""

    nonce: int
    last_id: int
    acknowledged_id: int
    name: str
    exchange_name: str
    store: str = ""
    """Which event store the ids are of, as a relay has said; empty if none has."""
    selection: str = ""
    """Which events it asks for; empty for every one."""


class Head(NamedTuple):
    """What a subscriber must know of a frame to judge it."""

    nonce: int
    previous_id: int
    has_events: bool
    """Whether events follow; else it is the beginning of a feed after ``previous_id``."""
    is_gap: bool = False
    """Whether it is neither: what was asked for below ``previous_id`` was deleted."""
    store: str = ""
    """At a beginning: which event store the relay's ids are of."""
    omitted_id: int | None = None
    """At an omission: the newest id that is left out."""
    refusal: str = ""
    """At a refusal: why."""


FIRST_EVENT = _HEAD.size
"""Where the first event stands in a frame of events."""


def encode_request(request: Request) -> bytes:
    """Return ``request`` as a frame."""
    name = request.name.encode()
    exchange_name = request.exchange_name.encode()
    store = request.store.encode("ascii")
    fixed = _REQUEST.pack(
        _MAGIC_SELECTING if request.selection else _MAGIC,
        request.nonce,
        request.last_id,
        request.acknowledged_id,
        len(name),
        len(exchange_name),
    )
    if not request.selection:
        return fixed + name + exchange_name + store
    selection = request.selection.encode()
    return b"".join((fixed, name, exchange_name, bytes([len(store)]), store, selection))


def decode_request(frame: bytes) -> Request:
    """Return the request in ``frame``, or raise :class:`WireError`."""
    selection = ""
    try:
        magic, nonce, last_id, acknowledged_id, name_length, exchange_length = _REQUEST.unpack_from(
            frame
        )
        texts = frame[_REQUEST.size :]
        name = texts[:name_length].decode()
        end = name_length + exchange_length
        exchange_name = texts[name_length:end].decode()
        rest = texts[end:]
        if magic == _MAGIC_SELECTING:
            length, rest = rest[0], rest[1:]
            rest, selection = rest[:length], rest[length:].decode()
        store = _store(rest)
    except (struct.error, UnicodeDecodeError, IndexError) as error:
        raise WireError(f"no request: {error}") from error
    if magic not in {_MAGIC, _MAGIC_SELECTING} or len(texts) < end:
        raise WireError("no request")
    if not NO_ID <= acknowledged_id <= last_id or not name or not name.isprintable():
        raise WireError("a request that makes no sense")
    if (magic == _MAGIC_SELECTING) != bool(selection):
        raise WireError("a request without its selection")
    return Request(nonce, last_id, acknowledged_id, name, exchange_name, store, selection)


def encode_events(nonce: int, previous_id: int, events: Iterable[bytes]) -> bytes:
    """Return a frame of events; ``previous_id`` is the id before the first in the feed."""
    return b"".join((_HEAD.pack(_EVENT_KIND, nonce, previous_id), *events))


def encode_beginning(nonce: int, start_id: int, store: str = "") -> bytes:
    """Return the frame that begins a feed after ``start_id`` of that event store."""
    return _HEAD.pack(_BEGINNING_KIND, nonce, start_id) + store.encode("ascii")


def encode_gap(nonce: int, oldest_id: int) -> bytes:
    """Return the frame that says that what is missing before ``oldest_id`` was deleted."""
    return _HEAD.pack(_GAP_KIND, nonce, oldest_id)


def encode_omission(nonce: int, previous_id: int, omitted_id: int) -> bytes:
    """Return the frame that says that nothing asked for is between the two, the last included."""
    return _HEAD.pack(_OMISSION_KIND, nonce, previous_id) + _ID.pack(omitted_id)


def encode_refusal(nonce: int, why: str, *, for_good: bool) -> bytes:
    """Return the frame that says why no feed begins."""
    return _HEAD.pack(_REFUSAL_KIND, nonce, int(for_good)) + why.encode()


def decode_head(frame: bytes) -> Head:
    """Return the head of what the relay sent, or raise :class:`WireError`."""
    try:
        kind, nonce, previous_id = _HEAD.unpack_from(frame)
        rest = frame[_HEAD.size :] if kind != _EVENT_KIND else b""
        omitted_id = _ID.unpack(rest)[0] if kind == _OMISSION_KIND else None
        refusal = rest.decode() if kind == _REFUSAL_KIND else ""
    except (struct.error, UnicodeDecodeError) as error:
        raise WireError(f"no frame of a relay: {error}") from error
    if previous_id < 0 or kind not in _KINDS:
        raise WireError("no frame of a relay")
    if (kind == _GAP_KIND and rest) or (kind == _REFUSAL_KIND and not refusal):
        raise WireError("no frame of a relay")
    store = _store(rest) if kind == _BEGINNING_KIND else ""
    return Head(
        nonce,
        previous_id,
        kind == _EVENT_KIND,
        kind == _GAP_KIND,
        store,
        omitted_id,
        refusal,
    )


def _store(identity: bytes) -> str:
    if len(identity) > MAX_STORE or not identity.isascii():
        raise WireError("no identity of an event store")
    return identity.decode()
