"""What answers behind the AWS API. Nothing above asks which one it is."""

from __future__ import annotations

from etl_manager.errors import TargetError
from etl_manager.targets.base import NAMES, Target, TargetOptions


def open_target(name: str, options: TargetOptions) -> Target:
    """Start the target *name*; the caller closes it.

    Raises:
        TargetError: When it cannot be started, is in use, or is not known.
        ConfigError: When a fault is not known.
    """
    if name == "local":
        from etl_manager.targets.local import LocalTarget

        return LocalTarget(options)
    if name == "aws":
        from etl_manager.targets.aws import AwsTarget

        return AwsTarget(options)
    if name == "container":
        from etl_manager.targets.container import ContainerTarget

        return ContainerTarget(options)
    raise TargetError(f"the target {name!r} is not known", hint=f"Use one of: {', '.join(NAMES)}")
