"""``python -m etl_manager``."""

from __future__ import annotations

import sys

from etl_manager import redaction
from etl_manager.cli.main import main

if __name__ == "__main__":
    redaction.install()
    sys.exit(main())
