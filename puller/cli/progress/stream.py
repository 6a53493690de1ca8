"""A stream that gives up in silence: a closed pipe costs the display, never an image."""

from typing import TextIO


class QuietStream:
    """Wrap a text stream; after the first write that fails, say nothing more and raise nothing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._open = True
        self.encoding = getattr(stream, "encoding", None) or "utf-8"

    @property
    def unicode(self) -> bool:
        """Whether marks beyond ASCII arrive."""
        return self.encoding.lower().replace("-", "").replace("_", "") in ("utf8", "utf8sig")

    def write(self, text: str) -> int:
        """Write, with what the encoding does not know spelled out."""
        if self._open:
            try:
                self._stream.write(text.encode(self.encoding, "backslashreplace").decode(self.encoding))
            except (OSError, ValueError):
                self._open = False
        return len(text)

    def flush(self) -> None:
        """Flush, if anybody is still there."""
        if self._open:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._open = False

    def write_line(self, line: str) -> None:
        """Write a whole line at once, so that other writers to the same terminal cannot cut it."""
        self.write(line + "\n")
        self.flush()

    def isatty(self) -> bool:
        """Whether this is a terminal."""
        try:
            return self._stream.isatty()
        except (OSError, ValueError):
            return False

    def fileno(self) -> int:
        """Give the descriptor; raise OSError or ValueError where there is none."""
        return self._stream.fileno()
