"""An AWS that answers on a loopback port, with a Run Command that executes, and bad days to order."""

from __future__ import annotations

from etl_manager.emulator.host import BastionHost, Running
from etl_manager.emulator.sandbox import SandboxHost
from etl_manager.emulator.server import EmulatedAws

__all__ = ["BastionHost", "EmulatedAws", "Running", "SandboxHost"]
