"""Requests read and answers written as AWS does: JSON for most services, XML for those of the query protocol."""

from __future__ import annotations

import json
import re
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
