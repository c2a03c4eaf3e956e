"""Requests are signed as AWS wants them; what a signature must be is worked out by botocore's own signers.

Signature Version 4 in a header or in an address, and version 2 in an address of S3's objects, as boto3 still makes.
AWS: "Create a signed AWS API request" (IAM User Guide), "Authenticating Requests" (S3 API reference).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from datetime import datetime, timezone
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from botocore.auth import HmacV1QueryAuth, S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from ssm_emulator.protocol import AwsError, Environ, header

_SKEW_SECONDS = 5 * 60  # AWS: IAM User Guide, "Create a signed AWS API request"
_S3_SKEW_SECONDS = 15 * 60  # AWS: S3, RequestTimeTooSkewed
_LONGEST_SECONDS = 7 * 24 * 3600  # AWS: X-Amz-Expires
_V4_HEADER = re.compile(
    r"AWS4-HMAC-SHA256 +Credential=([^,\s]+) *, *SignedHeaders=([^,\s]+) *, *Signature=([0-9a-f]{64})", re.A
)
_SCOPE = re.compile(r"([^/]+)/([0-9]{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request", re.A)


class SignedRequest:
    """What a request says of its signature, which `check` compares with the right one.

    A session token is covered by the signature and not looked at: the credentials here have none.

    Args:
        environ: The request (WSGI).

    Attributes:
        service: AWS's name of the service it is signed for, such as ``ssm``; nobody has checked it before `check`.

    Raises:
        AwsError: When it is not signed, or in a way that AWS does not know.
    """

    def __init__(self, environ: Environ) -> None:
        self._environ = environ
        self._path, _, self._query = environ["RAW_URI"].partition("?")
        words = dict(parse_qsl(self._query, keep_blank_values=True))
        in_header = _V4_HEADER.fullmatch(environ.get("HTTP_AUTHORIZATION", ""))
        self._presigned = not in_header
        self._version_2 = not in_header and "AWSAccessKeyId" in words
        if self._version_2:
            self._key, self._region, self.service, self._moment = words["AWSAccessKeyId"], "", "s3", ""
            self._given, self._lifetime = words.get("Signature", ""), words.get("Expires", "")
            return
        if in_header:
            credential, names, self._given = in_header.groups()
            self._moment, self._lifetime = header(environ, "x-amz-date"), ""
        else:
            credential, names = words.get("X-Amz-Credential", ""), words.get("X-Amz-SignedHeaders", "")
            self._given, self._moment = words.get("X-Amz-Signature", ""), words.get("X-Amz-Date", "")
            self._lifetime = words.get("X-Amz-Expires", "")
        if not (scope := _SCOPE.fullmatch(credential)):
            raise AwsError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
        self._key, self._day, self._region, self.service = scope.groups()
        self._names = names.lower().split(";")

    def check(self, credentials: Credentials, content: bytes = b"") -> None:
        """Compare the signature with the right one.

        Args:
            credentials: The only ones that are taken.
            content: The body. S3's is covered by the digest in a header; `check_content` compares the two.

        Raises:
            AwsError: When it is made with other credentials, for something else, or not now.
        """
        if not hmac.compare_digest(self._key.encode(), credentials.access_key.encode()):
            raise AwsError("UnrecognizedClientException", "The security token included in the request is invalid.", 403)
        self._check_time()
        right = self._right_version_2(credentials) if self._version_2 else self._right(credentials, content)
        if not hmac.compare_digest(right.encode(), self._given.encode()):
            raise _refusal("The request signature we calculated does not match the signature you provided.")

    def check_content(self, content: bytes) -> None:
        """See that *content* is what the digest in a header says, and S3's only may go without.

        Raises:
            AwsError: When it is something else.
        """
        said = header(self._environ, "x-amz-content-sha256")
        free = self.service == "s3" and not re.fullmatch("[0-9a-f]{64}", said)
        if said and not free and said != hashlib.sha256(content).hexdigest():
            raise AwsError("XAmzContentSHA256Mismatch", "The body is not the one that was signed.")

    def _check_time(self) -> None:
        now, skew = time.time(), _S3_SKEW_SECONDS if self.service == "s3" else _SKEW_SECONDS
        limit = re.fullmatch("[0-9]{1,12}", self._lifetime, re.A) and int(self._lifetime)
        if self._version_2:
            in_time = limit and now <= limit  # the end itself
        else:
            signed = _seconds(self._moment)
            if self._presigned:
                in_time = limit and limit <= _LONGEST_SECONDS and now <= signed + limit and signed <= now + skew
            else:
                in_time = abs(now - signed) <= skew
        if not in_time:
            raise _refusal("Signature expired, or not yet current: its time and the clock here differ too much.")

    def _right(self, credentials: Credentials, content: bytes) -> str:
        if self._day != self._moment[:8]:
            raise _refusal("Date in Credential scope does not match the date of the request.")
        own = _own(self._environ)
        if missing := {"host", *own} - set(self._names):
            raise _refusal(f"Headers that must be signed are not: {', '.join(sorted(missing))}.")
        if self.service == "s3" and not self._presigned and "x-amz-content-sha256" not in own:
            raise _refusal("Missing required header for this request: x-amz-content-sha256.")
        words = [
            each for each in self._query.split("&") if not (self._presigned and each.startswith("X-Amz-Signature="))
        ]
        request = AWSRequest(
            method=self._environ["REQUEST_METHOD"],
            url=f"http://{header(self._environ, 'host')}{self._path}?{'&'.join(words)}",
            headers={name: header(self._environ, name) for name in self._names},
            data=content,
        )
        request.context["timestamp"] = self._moment
        kind: Any = SigV4Auth
        if self.service == "s3":
            kind = S3SigV4QueryAuth if self._presigned else S3SigV4Auth
        signer = kind(credentials, self.service, self._region)
        signer.headers_to_sign = lambda request: request.headers  # what the client signed, and no other
        return str(signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request))

    def _right_version_2(self, credentials: Credentials) -> str:
        environ = self._environ
        names = {"content-md5", "content-type", *_own(environ)}
        headers: Any = HTTPHeaders()
        for name in names:
            headers[name] = header(environ, name)
        signer = _Version2(credentials, self._lifetime)
        return str(signer.get_signature(environ["REQUEST_METHOD"], urlsplit(f"http://s3{environ['RAW_URI']}"), headers))


class _Version2(HmacV1QueryAuth):
    """botocore's signer for addresses, with the *end* that the request names instead of one from now."""

    def __init__(self, credentials: Credentials, end: str) -> None:
        super().__init__(credentials)
        self._end = end

    def _get_date(self) -> str:
        return self._end


def _own(environ: Environ) -> set[str]:
    """Return the names of AWS's own headers in a request; all of them must be signed."""
    return {name[5:].lower().replace("_", "-") for name in environ if name.startswith("HTTP_X_AMZ_")}


def _seconds(moment: str) -> float:
    """Return a time such as ``20261127T040129Z`` in seconds since 1970; 0, which is too old, when it is none."""
    try:
        return datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        return 0


def _refusal(text: str) -> AwsError:
    return AwsError("InvalidSignatureException", text, 403)
