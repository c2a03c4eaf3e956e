"""moto, which answers whatever is not Run Command: the only module that knows it, and its private parts.

Private are `DomainDispatcherApplication`, `get_backend`, `Instance.id`, the tags of EC2's backend, and
`bucket_accounts`; `tests/ssm_emulator/test_compat.py` says what would break with each. moto is imported by the first
call that needs it: commands alone never do.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from typing import Any


def preload() -> None:
    """Import what the usual calls take, a second's work; callable in a thread while something else starts."""
    application()
    import moto.cloudformation.models
    import moto.ec2.models
    import moto.rds.models
    import moto.secretsmanager.models  # noqa: F401


@cache
def application() -> Any:
    """Return moto as a WSGI application for all services; the header ``X-Moto-Account-Id`` chooses the account."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    return DomainDispatcherApplication(create_backend_app)


def backend(service: str, account: str, region: str) -> Any:
    """Return moto's own state of *service*.

    For filling an account where the first call over HTTP is too slow: moto then loads the service's model (RDS: 0.3 s).
    """
    from moto.backends import get_backend

    return get_backend(service)[account][region]  # type: ignore[call-overload]


def add_instance(account: str, region: str, instance_id: str, tags: Mapping[str, str]) -> None:
    """Let EC2 have a running instance *instance_id* with *tags*; RunInstances cannot choose the id."""
    ec2 = backend("ec2", account, region)
    reservation = ec2.run_instances(
        "ami-0e5ca1ab1e0ba5710", 1, None, [], instance_type="t3.medium", is_instance_type_default=True, tags={}
    )
    [instance] = reservation.instances
    ec2.tags.pop(instance.id, None)
    ec2.tags[instance_id] = dict(tags)
    instance.id = instance_id


def forget(account: str) -> None:
    """Give back the names of *account*'s buckets: all accounts of a process share them, as all of AWS does."""
    s3 = sys.modules.get("moto.s3.models")
    names = s3.s3_backends.bucket_accounts if s3 else {}
    for name in [name for name, (_, owner) in list(names.items()) if owner == account]:
        del names[name]
