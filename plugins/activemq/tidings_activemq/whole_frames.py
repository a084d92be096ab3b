"""Cuts what a socket gives into whole frames, before stomp.py sees it.

stomp.py looks through all that it holds of a frame whenever more of it comes: 50 MB with zeros in
it take a minute. And two beats of the broker may come right before a frame, as after a pause of
ours or of the network. Then it takes their line ends for the end of the frame's headers, and drops
the frame.
"""

from __future__ import annotations

import re

_FRAME_BEGINS = re.compile(rb"[^\r\n]")
_HEADERS_END = re.compile(rb"\n\n|\r\n\r\n")
_LENGTH = re.compile(rb"^content-length:\s*([0-9]+)", re.MULTILINE)


class WholeFrames:
    """Keeps what has come of a frame until the rest is there."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._looked = 0
        """Up to where there is no frame's end."""
        self._wanted = 0
        """With how many bytes the frame is whole, once that is known."""

    def take(self, data: bytes) -> bytes:
        """Take the next piece; return the frames that are whole now, and no beats."""
        kept = self._kept
        kept += data
        frames = []
        start = self._start_of_frame(0)
        while end := self._end_of_frame(start):
            frames.append(bytes(kept[start:end]))
            start = self._start_of_frame(end)
        del kept[:start]
        self._looked = max(self._looked - start, 0)
        self._wanted = max(self._wanted - start, 0)
        return b"".join(frames)

    def _start_of_frame(self, at: int) -> int:
        found = _FRAME_BEGINS.search(self._kept, at)
        return found.start() if found else len(self._kept)

    def _end_of_frame(self, start: int) -> int:
        """Return where the frame that begins there ends; 0 if that has not come."""
        kept = self._kept
        if len(kept) < self._wanted:
            return 0
        nul = kept.find(b"\0", max(start, self._looked))
        if nul < 0:
            self._looked = len(kept)
            return 0
        end = max(nul, self._end_by_length(start, nul)) + 1
        if end > len(kept):
            self._wanted = end
            return 0
        self._looked, self._wanted = end, 0
        return end

    def _end_by_length(self, start: int, nul: int) -> int:
        """Return where the body ends by its frame's own word; 0 if the frame says nothing."""
        headers_end = _HEADERS_END.search(self._kept, start, nul)
        if headers_end is None:
            return 0
        length = _LENGTH.search(self._kept, start, headers_end.start())
        return headers_end.end() + int(length[1]) if length else 0
