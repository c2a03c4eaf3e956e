"""``python -m etl_manager``."""

from __future__ import annotations

import sys

from etl_manager.cli import main

if __name__ == "__main__":
    sys.exit(main())
