"""HTTP as uvicorn speaks it with httptools, which reads headers of any size: with a limit on them."""

import logging

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD = 16 * 1024  # bytes of a request's first line and headers, or of a body's trailers
_PIECE = 4096  # bytes that are read at a time, so that what is too large is found before all of it is kept
_TEXT = b"The headers of the request are larger than %d bytes. Send less\n" % LARGEST_HEAD
TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n%b" % (len(_TEXT), _TEXT)
)

log = logging.getLogger("uvicorn.error")  # as for what is malformed: such lines are counted (starter/web/repeats.py)


class _TooLarge(Exception):
    """Raised in the midst of parsing, so that the request is not begun."""


class HttpProtocol(HttpToolsProtocol):
    """Answers a request with too large a head with 431, and closes. ``_head`` is what was read of it, ``_unread`` what
    came since and belongs to a header that has not ended yet."""

    _head = _unread = 0

    def data_received(self, data: bytes) -> None:
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            self._unread += len(piece)
            super().data_received(piece)
            if not self.transport.is_closing() and self._head + self._unread > LARGEST_HEAD + _PIECE:
                self._refuse()
            if self.transport.is_closing():
                return

    def on_message_begin(self) -> None:
        self._head = self._unread = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + 4)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head = self._unread = 0
        super().on_headers_complete()
        self.headers = []  # of the trailers, which would else become headers (RFC 9110 section 6.5.1)

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unread = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        if self._head > LARGEST_HEAD:
            self._refuse()
        else:
            super().send_400_response(msg)

    def _count(self, size: int) -> None:
        self._head += size
        self._unread = 0
        if self._head > LARGEST_HEAD:
            raise _TooLarge

    def _refuse(self) -> None:
        log.warning("Too large headers received.")
        self.transport.write(TOO_LARGE)
        self.transport.close()
