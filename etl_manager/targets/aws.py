"""The ``aws`` target: AWS itself, or whatever answers at ``AWS_ENDPOINT_URL``."""

from __future__ import annotations

from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from etl_manager.errors import TargetError
from etl_manager.targets import TargetOptions
from etl_manager.targets.calls import client_config

_AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
_SERVICES = ("ssm", "cloudformation", "secretsmanager", "sts", "rds", "ec2")


class AwsTarget:
    """boto3's own session: its credential chain, the profile, the region.

    Raises:
        TargetError: When there is no such profile, or no region.
    """

    name = "aws"

    def __init__(self, options: TargetOptions) -> None:
        import boto3
        from botocore.exceptions import BotoCoreError

        try:
            self._session: Any = boto3.session.Session(profile_name=options.profile, region_name=options.region)
        except BotoCoreError as error:
            raise TargetError(
                f"no AWS session: {error}", remedy="Look at the profiles: aws configure list-profiles"
            ) from error
        if not self._session.region_name:
            raise TargetError(
                "no AWS region is named",
                remedy="Name it: --aws-region, project.region in config.json, AWS_DEFAULT_REGION, or the profile's",
            )
        self.region = str(self._session.region_name)
        self._clients: dict[tuple[str, int | None], Any] = {}

    @cached_property
    def endpoint_url(self) -> str | None:
        """The first endpoint that is not AWS's own, of any service and wherever it was configured; else None."""
        urls = [str(self.client(service).meta.endpoint_url) for service in _SERVICES]
        return next((url for url in urls if not (urlsplit(url).hostname or "").endswith(_AWS_DOMAINS)), None)

    @property
    def emulated(self) -> bool:
        """True when something else than AWS answers."""
        return self.endpoint_url is not None

    def client(self, service: str, *, attempts: int | None = None) -> Any:
        """Return the boto3 client of *service*; with *attempts*, one that sends a call at most so often."""
        key = (service, attempts)
        if key not in self._clients:
            self._clients[key] = self._session.client(service, config=client_config(attempts, service))
        return self._clients[key]

    def witness_conninfo(self, database: str) -> str | None:  # noqa: ARG002
        """Return None: the database is reached through the bastion only."""
        return None

    def close(self) -> None:
        """Do nothing: nothing was started."""
