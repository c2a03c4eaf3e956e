"""moto, which answers whatever is not Run Command: the only module that knows it, and its private parts.

Private are `DomainDispatcherApplication`, `get_backend`, `Instance.id`, the tags of EC2's backend, and
`bucket_accounts`; `tests/unit/ssm_emulator/test_compat.py` says what would break with each. moto is imported by the first
call that needs it: commands alone never do.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from ssm_emulator.own_session import own_session

_loading = threading.Lock()
"""boto3 is changed while moto is imported: one thread at a time."""


def preload() -> None:
    """Import what the usual calls take, a second's work; callable in a thread while something else starts."""
    application()
    with _loading, _operator_unread():
        import moto.cloudformation.models
        import moto.ec2.models
        import moto.rds.models
        import moto.secretsmanager.models  # noqa: F401


@contextmanager
def _operator_unread() -> Iterator[None]:
    """Have what this thread imports of moto ask a session of ours for regions; other threads notice nothing.

    moto makes sessions of boto3's default chain, some of them in the body of a class, which would read the operator's
    profile and fail for a broken one. moto has no setting for that; its answer is to remove the variables from the
    environment (getmoto/moto#5469), which every thread and child process of the caller would see.
    """
    import boto3

    ours = boto3.session.Session(botocore_session=own_session())
    importing = threading.get_ident()
    theirs = boto3.Session

    class Session(theirs):  # type: ignore[misc, valid-type]
        def __new__(cls, *words: Any, **more: Any) -> Any:
            return ours if threading.get_ident() == importing else theirs(*words, **more)

    boto3.Session = Session  # type: ignore[misc]
    try:
        yield
    finally:
        boto3.Session = theirs  # type: ignore[misc]


@cache
def application() -> Any:
    """Return moto as a WSGI application for all services; the header ``X-Moto-Account-Id`` chooses the account."""
    with _loading, _operator_unread():
        import moto.core.utils  # noqa: F401
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
