"""A bucket as the way for an archive that is too big for Run Command: put there, fetched by the bastion, deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from etl_manager import redaction
from etl_manager.asking import asking

PREFIX = "etl-manager/"
URL_SECONDS = 900
"""How long the presigned URL is good, at most; the object is deleted as soon as the bastion has it."""


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """The bucket *name*; *warn* is told of an object that could not be deleted.

    A presigned URL lets whoever reads it have the object: it is a secret, and the caller seals it.
    """

    client: Any
    name: str
    warn: Callable[[str], None]

    @contextmanager
    def offered(self, key: str, data: bytes) -> Iterator[str]:
        """Put *data* under *key* and give a presigned URL of it; afterwards the object is gone.

        Raises:
            DiscoveryError: When S3 does not take it.
        """
        key = PREFIX + key
        try:
            with asking("S3", "PutObject", f"s3://{self.name}/{key}"):
                self.client.put_object(Bucket=self.name, Key=key, Body=data, ContentType="application/gzip")
                url = str(
                    self.client.generate_presigned_url(
                        "get_object", Params={"Bucket": self.name, "Key": key}, ExpiresIn=URL_SECONDS
                    )
                )
            redaction.register(url)
            yield url
        finally:
            self._delete(key)  # also where the answer to PutObject was lost

    def _delete(self, key: str) -> None:
        try:
            self.client.delete_object(Bucket=self.name, Key=key)
        except (BotoCoreError, ClientError) as error:
            self.warn(f"[WARNING] s3://{self.name}/{key} could not be deleted: {error}")
