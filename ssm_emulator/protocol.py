"""HTTP as AWS speaks it: JSON for most services, XML for those of the query protocol; and the connections it comes by.

Connections of strangers are few at once, and for a few seconds. Whoever proved to know the keys has all the time there is.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

Environ = dict[str, Any]


class AwsError(Exception):
    """An error as AWS answers it.

    Args:
        code: AWS's name for it, such as ``InvalidInstanceId``.
        message: AWS's text; often there is none.
        status: The HTTP status.
    """

    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


# The query protocol calls some errors by other names (AWS: common errors of the CloudFormation and STS API references).
_QUERY_CODES = {
    "ThrottlingException": "Throttling",
    "ExpiredTokenException": "ExpiredToken",
    "UnrecognizedClientException": "InvalidClientTokenId",
    "InvalidSignatureException": "SignatureDoesNotMatch",
}


_OBJECT_ACTIONS = {"PUT": "PutObject", "GET": "GetObject", "DELETE": "DeleteObject"}


def action_of(environ: Environ, content: bytes) -> str:
    """Return the action's name: of a JSON request, of one of the query protocol, or what S3's method stands for."""
    if target := environ.get("HTTP_X_AMZ_TARGET", ""):
        return str(target).rpartition(".")[2]
    if is_s3(environ):
        return _OBJECT_ACTIONS.get(environ["REQUEST_METHOD"], "")
    return parse_qs(content.decode(errors="replace")).get("Action", [""])[0]


def service_of(environ: Environ) -> str:
    """Return the service that a signed request is for, such as ``ec2``; nothing when that is not said."""
    scope = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].partition(",")[0].split("/")
    return str(scope[3]) if len(scope) > 3 else ""


def is_s3(environ: Environ) -> bool:
    """Say whether a request is signed for S3, in its header or in a presigned URL."""
    signed = environ.get("HTTP_AUTHORIZATION", "") + unquote(environ.get("QUERY_STRING", ""))
    return "/s3/aws4_request" in signed


def header(environ: Environ, name: str) -> str:
    """Return the value of a header; nothing when there is none."""
    variable = name.upper().replace("-", "_")
    known = variable in {"CONTENT_TYPE", "CONTENT_LENGTH"}  # CGI has these two without HTTP_
    return str(environ.get(variable if known else f"HTTP_{variable}", "")).strip()


def body_length(environ: Environ, limit: int) -> int:
    """Return the length of the request's body, in bytes.

    Raises:
        AwsError: When it is not said, is no number, or is above *limit*.
    """
    if environ.get("HTTP_TRANSFER_ENCODING"):
        raise AwsError("MissingContentLength", "The length of the body must be said in the header Content-Length.", 411)
    length = environ.get("CONTENT_LENGTH") or "0"
    if not re.fullmatch("[0-9]{1,15}", length, re.A):
        raise AwsError("InvalidRequest", "Content-Length is no number.")
    if int(length) > limit:
        raise AwsError("RequestEntityTooLarge", f"The body is longer than {limit} bytes.", 413)
    return int(length)


def body(environ: Environ, length: int) -> bytes:
    """Read *length* bytes of the request's body.

    Raises:
        AwsError: When the client sends fewer.
    """
    content = bytes(environ["wsgi.input"].read(length))
    if len(content) < length:
        raise AwsError("RequestTimeout", "The body is shorter than Content-Length.")
    return content


def json_answer(start_response: Any, content: dict[str, Any], status: int = 200) -> Iterable[bytes]:
    """Answer with *content*, as the JSON 1.1 protocol does."""
    return _answer(start_response, json.dumps(content).encode(), "application/x-amz-json-1.1", status)


def error_answer(environ: Environ, start_response: Any, error: AwsError) -> Iterable[bytes]:
    """Answer with *error*, in the protocol of the request."""
    if environ.get("HTTP_X_AMZ_TARGET"):
        content = {"__type": error.code, "message": error.message}
        return json_answer(start_response, content, error.status)
    code = escape(_QUERY_CODES.get(error.code, error.code))
    inner = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(error.message)}</Message></Error>"
    if is_s3(environ):
        xml = f"<Error><Code>{code}</Code><Message>{escape(error.message)}</Message></Error>"
    elif service_of(environ) == "ec2":
        xml = f"<Response><Errors>{inner}</Errors><RequestID>{uuid.uuid4()}</RequestID></Response>"
    else:
        xml = f"<ErrorResponse>{inner}<RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
    return _answer(start_response, xml.encode(), "text/xml", error.status)


def _answer(start_response: Any, content: bytes, kind: str, status: int) -> Iterable[bytes]:
    phrase = "OK" if status < 400 else "Error"
    start_response(
        f"{status} {phrase}",
        [
            ("Content-Type", kind),
            ("Content-Length", str(len(content))),
            ("x-amzn-RequestId", str(uuid.uuid4())),
        ],
    )
    return [content]


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
