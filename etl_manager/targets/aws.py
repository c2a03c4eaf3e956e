"""The ``aws`` target: boto3's own session, and whether AWS itself answers it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from etl_manager.aws.clients import client_config, resolve, watch
from etl_manager.aws.errors import LOG_IN
from etl_manager.errors import TargetError
from etl_manager.targets import TargetOptions


def is_aws(url: str, service: str, session: Any) -> bool:
    """Return whether AWS itself answers at *url*, an endpoint of *service*.

    The name must be below a partition's domain and hold the service's own label: load balancers and machines of AWS's
    customers have names below the same domains.

    Args:
        url: The endpoint.
        service: The service's name in it, such as ``ssm``.
        session: A botocore session; its data lists the partitions.
    """
    host = (urlsplit(url).hostname or "").lower()
    partitions = session.get_component("data_loader").load_data("partitions")["partitions"]
    outputs = [partition["outputs"] for partition in partitions]
    suffixes = {each.get(name, "") for each in outputs for name in ("dnsSuffix", "dualStackDnsSuffix")} - {""}
    below = next((suffix for suffix in suffixes if host.endswith(f".{suffix}")), None)
    return below is not None and not {service, f"{service}-fips"}.isdisjoint(host.removesuffix(below).split("."))


_SERVICES = ("ssm", "cloudformation", "secretsmanager", "sts", "rds", "ec2")


class AwsTarget:
    """boto3's own session: its credential chain, the profile, the region.

    Raises:
        TargetError: When there is no such profile, no region, or its credentials cannot be had.
    """

    name = "aws"

    def __init__(self, options: TargetOptions) -> None:
        import boto3
        import botocore.session

        with _usable("no AWS session", "Look at the profiles: aws configure list-profiles"):
            self._underneath = watch(botocore.session.Session(profile=options.profile))
            self._session: Any = boto3.session.Session(botocore_session=self._underneath, region_name=options.region)
            region = self._session.region_name
        if not region:
            raise TargetError(
                "no AWS region is named",
                hint="Name it: --aws-region, project.region in config.json, AWS_DEFAULT_REGION, or the profile's",
            )
        with _usable("no AWS credentials", f"Correct the profile, or take another one (--aws-profile).\n{LOG_IN}"):
            resolve(self._underneath)
        self.region = str(region)
        self._clients: dict[tuple[str, int | None], Any] = {}

    @cached_property
    def endpoint_url(self) -> str | None:
        """The first endpoint that is not AWS's own, of any service and wherever it was configured; else None."""
        urls = ((service, str(self.client(service).meta.endpoint_url)) for service in _SERVICES)
        return next((url for service, url in urls if not is_aws(url, service, self._underneath)), None)

    @property
    def emulated(self) -> bool:
        """True when something else than AWS answers."""
        return self.endpoint_url is not None

    def client(self, service: str, *, attempts: int | None = None) -> Any:
        """Return the boto3 client of *service*; with *attempts*, one that sends a call at most so often."""
        key = (service, attempts)
        if key not in self._clients:
            with _usable(f"no client of AWS's {service}", "Correct the endpoint or the region it names."):
                client = self._session.client(service, config=client_config(attempts, service))
                _ = urlsplit(client.meta.endpoint_url).port  # else a wrong one would fail at the first call only
                self._clients[key] = client
        return self._clients[key]

    def witness_conninfo(self, database: str) -> str | None:  # noqa: ARG002
        """Return None: the database is reached through the bastion only."""
        return None

    def close(self) -> None:
        """Do nothing: nothing was started."""


@contextmanager
def _usable(what: str, remedy: str) -> Iterator[None]:
    """Make a `TargetError` of what botocore says of its settings, whose files and variables are the user's own."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError, ValueError) as error:  # ValueError: an endpoint or a number it cannot read
        raise TargetError(f"{what}: {error}", hint=remedy) from None
