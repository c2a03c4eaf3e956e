"""The options of the group "provisioning", checked once and kept as `Settings`."""

from __future__ import annotations

import argparse
import enum
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from etl_manager.targets import NAMES

TARGET_VARIABLE = "PROVISION_TARGET"


class Mode(enum.Enum):
    """What a run may do to the database."""

    PROVISION = "provision"
    VERIFY_ONLY = "verify-only"
    PLAN = "plan"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the command line asked for; paths are absolute."""

    root: Path
    reports: Path
    target: str
    config_path: Path
    mode: Mode
    skip_copy: bool
    require_gate: bool
    reset_local: bool
    keep: bool
    aws_profile: str | None
    aws_region: str | None
    tenants: tuple[str, ...]


SETTINGS = pytest.StashKey[Settings]()
"""Where ``pytestconfig.stash`` keeps the `Settings` of the run."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the group "provisioning"."""
    group = parser.getgroup("provisioning", "building and proving the database")
    group.addoption(
        "--target",
        choices=NAMES,
        help=f"what answers behind the AWS API (default: the variable {TARGET_VARIABLE}, else local)",
    )
    group.addoption(
        "--config-json", metavar="FILE", help="the configuration (default: config.json in the project's folder)"
    )
    group.addoption("--skip-copy", action="store_true", help="use the workspace that is on the bastion already")
    group.addoption("--verify-only", action="store_true", help="prove what is there; change nothing in the database")
    group.addoption(
        "--plan",
        action="store_true",
        help="look and change nothing: show each phase with its SQL files and its database, and what a run would do",
    )
    group.addoption(
        "--require-gate",
        action="store_true",
        help="fail unless every Phase 3 prerequisite was proven in this very run",
    )
    group.addoption("--aws-profile", metavar="NAME", help="the profile of the AWS CLI to use (default: boto3's chain)")
    group.addoption("--aws-region", metavar="NAME", help="the AWS region (default: the configuration's, else boto3's)")
    group.addoption(
        "--tenant",
        action="append",
        default=[],
        metavar="NAME",
        help="work on this tenant only, to try a change on it; repeatable. Such a run is never ready for Phase 3",
    )
    group.addoption("--reset-local", action="store_true", help="forget the local target's state first")
    group.addoption(
        "--keep",
        action="store_true",
        help="leave the container target's containers and networks, and say how to look at them and to remove them",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Check the options together and keep them.

    Raises:
        pytest.UsageError: When they contradict one another; nothing was started.
    """
    option = config.option
    target = option.target or os.environ.get(TARGET_VARIABLE) or "local"
    if target not in NAMES:
        raise pytest.UsageError(f"{TARGET_VARIABLE}={target!r}: no such target; choose from {', '.join(NAMES)}")
    for problem in _contradictions(target, option):
        raise pytest.UsageError(problem)
    here = config.invocation_params.dir
    config.stash[SETTINGS] = Settings(
        root=config.rootpath,
        reports=config.rootpath / "reports",
        target=target,
        config_path=here / option.config_json if option.config_json else config.rootpath / "config.json",
        mode=Mode.PLAN if option.plan else Mode.VERIFY_ONLY if option.verify_only else Mode.PROVISION,
        skip_copy=option.skip_copy,
        require_gate=option.require_gate,
        reset_local=option.reset_local,
        keep=option.keep,
        aws_profile=option.aws_profile,
        aws_region=option.aws_region,
        tenants=tuple(dict.fromkeys(option.tenant)),
    )


def _contradictions(target: str, option: argparse.Namespace) -> list[str]:
    """Return what is wrong with the options taken together, the gravest first."""
    plan, prove, required = option.plan, option.verify_only, option.require_gate
    reset, keep = option.reset_local, option.keep
    rules = {
        "--plan changes nothing and --verify-only proves: choose one of them": plan and prove,
        "--plan changes nothing: it cannot go with --reset-local": plan and reset,
        "--plan proves nothing: it cannot go with --require-gate": plan and required,
        "--tenant proves some tenants only: it cannot go with --require-gate": option.tenant and required,
        "--verify-only proves what is there; with --reset-local nothing would be": prove and reset,
        f"--reset-local forgets the local target's state; the target is {target}": reset and target != "local",
        f"--keep leaves the container target's containers; the target is {target}": keep and target != "container",
        f"--aws-profile {option.aws_profile} names an account on AWS; the target is {target}: add --target aws": (
            option.aws_profile is not None and target != "aws"
        ),
    }
    return [problem for problem, holds in rules.items() if holds]
