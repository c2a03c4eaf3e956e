"""Connections of strangers: few at once, for a few seconds. Whoever proved to know the keys has all the time there is."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ssm_emulator.protocol import Environ

if TYPE_CHECKING:
    from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

STRANGERS = 64
"""How many connections may be open whose request was not authenticated: each has a thread."""

PATIENCE = 15.0
"""Seconds within which a request must be there and be authenticated, from the connection on."""


def admit(environ: Environ) -> None:
    """Let the connection of this request stay as long as it takes."""
    environ["wsgi.server"].admit(environ["werkzeug.socket"])


def drained(environ: Environ, answer: Iterable[bytes]) -> Iterator[bytes]:
    """Give *answer*, and read on without keeping anything: closed with data unread, a connection is reset before that.

    It ends with what the client sends, or with its patience.
    """
    yield from answer
    connection: socket.socket = environ["werkzeug.socket"]
    with suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass


@cache
def server_class() -> type[ThreadedWSGIServer]:
    """Return werkzeug's server, bounded; werkzeug is imported by those who start one only."""
    from werkzeug.serving import ThreadedWSGIServer

    class Server(ThreadedWSGIServer):
        """Ends strangers that take too long, and of too many the one that is there longest."""

        def __init__(self, *words: Any, **more: Any) -> None:
            super().__init__(*words, **more)
            self._strangers: dict[Any, float] = {}
            self._lock = threading.Lock()

        def admit(self, connection: Any) -> None:
            """Count *connection* as a stranger's no more."""
            with self._lock:
                self._strangers.pop(connection, None)

        def process_request(self, request: Any, client_address: Any) -> None:
            """Serve a new connection in a thread of its own."""
            with self._lock:
                self._strangers[request] = time.monotonic() + PATIENCE
                self._end(list(self._strangers)[:-STRANGERS])
            super().process_request(request, client_address)

        def service_actions(self) -> None:
            """Look after the time limit; called between connections."""
            now = time.monotonic()
            with self._lock:
                self._end([each for each, limit in self._strangers.items() if limit < now])

        def close_request(self, request: Any) -> None:
            """Forget a connection with its end."""
            self.admit(request)
            super().close_request(request)

        def _end(self, connections: list[Any]) -> None:
            for each in connections:
                del self._strangers[each]
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)  # its thread sees the end, and closes it

    return Server


@cache
def handler_class() -> type[WSGIRequestHandler]:
    """Return werkzeug's handler of requests, without lines on the terminal."""
    from werkzeug.serving import WSGIRequestHandler

    class Handler(WSGIRequestHandler):
        """Says nothing of requests, also not of those that are none; errors of the server are still told."""

        def run_wsgi(self) -> None:
            """Answer, also an address that is none, at which werkzeug fails."""
            try:
                urlsplit(self.path)
            except ValueError:
                self.send_error(400)
            else:
                super().run_wsgi()

        def make_environ(self) -> Environ:
            """Return the request with the server that took it."""
            return {**super().make_environ(), "wsgi.server": self.server}

        def log_request(self, *_: Any, **__: Any) -> None:
            """Say nothing."""

        def log_error(self, *_: Any, **__: Any) -> None:
            """Say nothing: the client has its answer."""

    return Handler
