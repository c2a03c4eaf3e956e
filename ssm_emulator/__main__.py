"""``python -m ssm_emulator``."""

from __future__ import annotations

from ssm_emulator.cli import main

raise SystemExit(main())
