"""The emulated Run Command does what AWS-RunShellScript does on a real instance."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from conftest_emulator import alive, eventually
