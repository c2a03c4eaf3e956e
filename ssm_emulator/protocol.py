"""Requests read and answers written as AWS does: JSON for most services, XML for those of the query protocol."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, unquote
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
}


_OBJECT_ACTIONS = {"PUT": "PutObject", "GET": "GetObject", "DELETE": "DeleteObject"}


def action_of(environ: Environ, content: bytes) -> str:
    """Return the action's name: of a JSON request, of one of the query protocol, or what S3's method stands for."""
    if target := environ.get("HTTP_X_AMZ_TARGET", ""):
        return str(target).rpartition(".")[2]
    if is_s3(environ):
        return _OBJECT_ACTIONS.get(environ["REQUEST_METHOD"], "")
    return parse_qs(content.decode(errors="replace")).get("Action", [""])[0]


def access_keys(environ: Environ) -> list[str]:
    """Return the access keys a request names, in its header or in a presigned URL; the signature is not checked."""
    query = parse_qs(environ.get("QUERY_STRING", ""))
    presigned = [*query.get("X-Amz-Credential", []), *query.get("AWSAccessKeyId", [])]
    signed = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2]
    return [each.partition("/")[0] for each in (signed, *presigned)]


def service_of(environ: Environ) -> str:
    """Return the service that a signed request is for, such as ``ec2``; nothing when that is not said."""
    scope = environ.get("HTTP_AUTHORIZATION", "").partition("Credential=")[2].partition(",")[0].split("/")
    return str(scope[3]) if len(scope) > 3 else ""


def is_s3(environ: Environ) -> bool:
    """Say whether a request is signed for S3, in its header or in a presigned URL."""
    signed = environ.get("HTTP_AUTHORIZATION", "") + unquote(environ.get("QUERY_STRING", ""))
    return "/s3/aws4_request" in signed


def body(environ: Environ) -> bytes:
    """Read the request's body; it must be read before a connection is closed, or the client sees a reset."""
    return bytes(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))


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
