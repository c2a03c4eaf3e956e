"""The bastion of a container target as tests use it: by Run Command, and behind its back."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from etl_manager.provisioning.run import ProvisioningRun
from etl_manager.targets.container import ContainerTarget
from tests.support.aws import Commands
from tests.support.project import ROOT
from tests.support.runs import open_run


class Bastion(Commands):
    """The bastion container of *target*."""

    patience = 30

    def __init__(self, target: ContainerTarget) -> None:
        assert target.aws is not None
        self.target = target
        self.instance_id = target.aws.instance_id
        self.ssm = target.client("ssm")

    def behind(self, script: str) -> str:
        """Run *script* in the container without SSM, as root, and return what it printed; it must succeed."""
        status, output = self.target.bastion.exec_run(["sh", "-c", script])
        assert status == 0, output.decode()
        return str(output.decode())

    def processes(self, pattern: str) -> list[str]:
        """Return the processes in the container whose command line has *pattern*."""
        listed = self.behind("ps -eo pid,stat,args").splitlines()[1:]
        return [line for line in listed if pattern in line and "ps -eo" not in line and " Z" not in line]

    @contextmanager
    def without(self, *programs: str) -> Iterator[None]:
        """Hide *programs*, wherever they lie in the container."""
        words = shlex.join(programs)
        self.behind(f"for name in {words}; do while p=$(type -P $name); do mv $p $p.hidden; hash -r; done; done")
        try:
            yield
        finally:
            self.behind("for p in /usr/bin/*.hidden /bin/*.hidden; do [ ! -e $p ] || mv $p ${p%.hidden}; done")

    @contextmanager
    def opened(self, root: Path = ROOT) -> Iterator[ProvisioningRun]:
        """Open a run of the project in *root* on the target, and close it."""
        run = open_run(self.target, root)
        try:
            yield run
        finally:
            run.close()
