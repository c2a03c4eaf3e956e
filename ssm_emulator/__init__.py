"""An SSM Run Command that executes: AWS's API on a loopback port, with AWS's limits, statuses and faults to order.

What stands in `__all__` is public; see ``README.md`` beside this file.
"""

from __future__ import annotations

from ssm_emulator.faults import CallFault, FaultError, fault_descriptions
from ssm_emulator.hosts import Host, HostUnavailableError, RunningProcess
from ssm_emulator.hosts.container import ContainerHost
from ssm_emulator.hosts.sandbox import SandboxHost
from ssm_emulator.protocol import AwsError
from ssm_emulator.server import SsmEmulator

__all__ = [
    "AwsError",
    "CallFault",
    "ContainerHost",
    "FaultError",
    "Host",
    "HostUnavailableError",
    "RunningProcess",
    "SandboxHost",
    "SsmEmulator",
    "fault_descriptions",
]
