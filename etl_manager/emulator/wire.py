"""AWS's answers on the wire: JSON for most services, XML for those of the query protocol."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote
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


def action(environ: Environ) -> str:
    """Return the service and action a JSON request is for, such as ``AmazonSSM.SendCommand``; else nothing."""
    return str(environ.get("HTTP_X_AMZ_TARGET", ""))


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
    if action(environ):
        content = {"__type": error.code, "message": error.message}
        return json_answer(start_response, content, error.status)
    code = escape(_QUERY_CODES.get(error.code, error.code))
    inner = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(error.message)}</Message></Error>"
    if is_s3(environ):
        xml = f"<Error><Code>{code}</Code><Message>{escape(error.message)}</Message></Error>"
    elif "/ec2/aws4_request" in environ.get("HTTP_AUTHORIZATION", ""):
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
