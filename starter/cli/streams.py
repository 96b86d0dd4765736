"""Standard streams on which printing never fails, so that it changes no exit status (PRODUCT.md section 7.1).

A reader that has gone away, a full device, a closed stream and a character that the encoding lacks are met here, for
everything that this process prints: usage errors and help, too.
"""

import errno
import io
import os
import select
import sys
from typing import Any, TextIO


class Device(io.RawIOBase):
    """A file descriptor. What cannot be written to it is dropped; ``error`` says why from then on."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.error: OSError | None = None

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest and self.error is None:
            try:
                rest = rest[os.write(self._number, rest) :]
            except BlockingIOError:  # somebody else has set the pipe to non-blocking
                select.select([], [self._number], [])
            except OSError as error:
                self.error = error
        return size


def take() -> None:
    """Put streams that never fail in the place of this process's own."""
    for number in range(3):  # a closed one is opened as nothing, or the next connection would have its number
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115  # for as long as the process lives
    sys.stdout, sys.stderr = (_safe(stream, number) for number, stream in ((1, sys.stdout), (2, sys.stderr)))


def finish() -> None:
    """Write what is left, and say so where the answer could not be written whole."""
    sys.stdout.flush()
    device = sys.stdout.buffer.raw if isinstance(sys.stdout.buffer, io.BufferedWriter) else None
    error = device.error if isinstance(device, Device) else None
    if error is not None and error.errno != errno.EPIPE:  # a reader that has seen enough is no fault
        sys.stderr.write(f"What was to be printed could not be written whole: {error.strerror}.\n")
    sys.stderr.flush()


def _safe(stream: TextIO | None, number: int) -> TextIO:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    by_line = number == 2 or os.isatty(number) or getattr(stream, "write_through", False)  # as python -u has it
    return io.TextIOWrapper(io.BufferedWriter(Device(number)), encoding, errors="replace", line_buffering=by_line)
