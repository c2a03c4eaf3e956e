"""The ``aws`` target: AWS itself, or whatever answers at ``AWS_ENDPOINT_URL``."""

from __future__ import annotations

from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from etl_manager.errors import TargetError
from etl_manager.network import Separation
from etl_manager.targets import TargetOptions
from etl_manager.targets.calls import client_config

_AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")


class AwsTarget:
    """boto3's own session: its credential chain, the profile, the region.

    Raises:
        TargetError: When there is no such profile.
    """

    name = "aws"

    def __init__(self, options: TargetOptions) -> None:
        import boto3
        from botocore.exceptions import BotoCoreError

        self.region = options.region
        try:
            self._session: Any = boto3.session.Session(profile_name=options.profile, region_name=options.region)
        except BotoCoreError as error:
            raise TargetError(
                f"no AWS session: {error}", remedy="Look at the profiles: aws configure list-profiles"
            ) from error

    @cached_property
    def endpoint_url(self) -> str | None:
        """The endpoint of SSM when it is not AWS's own, wherever it was configured; else None."""
        url = str(self.client("ssm").meta.endpoint_url)
        host = urlsplit(url).hostname or ""
        return None if host.endswith(_AWS_DOMAINS) else url

    @property
    def emulated(self) -> bool:
        """True when something else than AWS answers."""
        return self.endpoint_url is not None

    def client(self, service: str, *, attempts: int | None = None) -> Any:
        """Return a boto3 client of *service*; with *attempts*, one that sends a call at most so often."""
        return self._session.client(service, config=client_config(service, attempts))

    def separation(self) -> Separation:
        """Return that nothing can be said: the suite did not make the VPC, and may run inside it."""
        return Separation(
            absent="who reaches the cluster is decided by its VPC, which the suite neither makes nor knows"
        )

    def witness_conninfo(self, database: str) -> str | None:  # noqa: ARG002
        """Return None: the database is reached through the bastion only."""
        return None

    def close(self) -> None:
        """Do nothing: nothing was started."""
