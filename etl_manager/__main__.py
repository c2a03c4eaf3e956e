"""``python -m etl_manager``."""

from __future__ import annotations

import sys

from etl_manager import record_redaction
from etl_manager.cli import main

if __name__ == "__main__":
    record_redaction.install()
    sys.exit(main())
