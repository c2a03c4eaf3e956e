"""moto, which answers whatever is not Run Command: the only module that knows it, and its private parts.

Private are `DomainDispatcherApplication`, `get_backend`, the sessions that moto makes, `Instance.id`, the tags of EC2's
backend, and `bucket_accounts`; `tests/unit/ssm_emulator/test_compat.py` says what would break with each. moto is imported by the first
call that needs it: commands alone never do.
"""

from __future__ import annotations

import builtins
import sys
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from ssm_emulator.own_session import own_session

_loading = threading.Lock()
_REGIONS = "moto.ec2.models.availability_zones_and_regions"


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
    _load()
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    return DomainDispatcherApplication(create_backend_app)


def _load() -> None:
    """Import moto's core, and have moto ask a session of ours for regions; boto3 itself is not touched.

    moto makes sessions of the default chain, which read the operator's profile and fail for a broken one. It has no
    setting for that; its answer is to remove the variables from the environment (getmoto/moto#5469), which every thread
    and child process of the caller would see. Two modules make theirs in functions; one does in the body of a class, and is
    run here with a boto3 of its own, before anything imports it.
    """
    with _loading:
        if _REGIONS in sys.modules:
            return
        import boto3
        import moto.core.base_backend
        import moto.core.utils

        ours = boto3.session.Session(botocore_session=own_session())
        vars(moto.core.base_backend)["Session"] = lambda: ours
        vars(moto.core.utils)["Session"] = own_session

        def importing(name: str, *more: Any) -> Any:
            return SimpleNamespace(Session=lambda: ours) if name == "boto3" else __import__(name, *more)

        file = Path(moto.core.utils.__file__).parents[1] / "ec2/models/availability_zones_and_regions.py"
        regions = ModuleType(_REGIONS)
        vars(regions)["__builtins__"] = {**vars(builtins), "__import__": importing}
        exec(compile(file.read_bytes(), file, "exec"), vars(regions))  # noqa: S102 - as an import does
        sys.modules[_REGIONS] = regions


def backend(service: str, account: str, region: str) -> Any:
    """Return moto's own state of *service*.

    For filling an account where the first call over HTTP is too slow: moto then loads the service's model (RDS: 0.3 s).
    """
    _load()
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
