"""``python -m etl_manager gate check FILE``: whether a verdict may still be relied on, as an exit status."""

from __future__ import annotations

import argparse
import re
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

from etl_manager.gate import check
from etl_manager.project import root_of
from etl_manager.targets import NAMES
from etl_manager.wording import number_of

RELIABLE, UNRELIABLE = 0, 1

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``gate`` takes."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    checking = actions.add_parser(
        "check",
        help="say whether a verdict may still be relied on",
        description="Say whether a verdict may still be relied on: it must be ready, fresh, and of this very project.",
        epilog="exit status: 0 it may, 1 it may not; the reasons are on stderr.",
    )
    checking.add_argument("file", type=Path, metavar="FILE", help="such as reports/phase3-gate.json")
    checking.add_argument(
        "--max-age",
        type=_span,
        default=timedelta(hours=1),
        metavar="SPAN",
        help="such as 90s, 30m, 1h, 2d (default 1h)",
    )
    checking.add_argument(
        "--target",
        choices=NAMES,
        help="the target it must be of; with aws it must be AWS itself that answered (default: any)",
    )


def run(namespace: argparse.Namespace) -> int:
    """Check the verdict and return the exit status.

    Raises:
        VerificationError: When there is no verdict, or it does not fit the schema.
    """
    verdict, root = check.read(namespace.file), root_of(Path("config.json"))
    reasons = list(
        check.invalid_because(
            verdict,
            root,
            now=datetime.now(timezone.utc),
            max_age=namespace.max_age,
            target=namespace.target,
        )
    )
    if not reasons:  # the database comes last: it takes seconds
        reasons = list(check.unexpected_tables(verdict, lambda: check.read_catalogue(verdict, root)))
    if reasons:
        sys.stderr.write(f"[ERROR] {namespace.file} may not be relied on:\n")
        sys.stderr.writelines(f"  - {reason}\n" for reason in reasons)
        return UNRELIABLE
    place = f"{verdict.target}{', emulated' if verdict.emulated else ''}"
    sys.stdout.write(
        f"ready for Phase 3: {verdict.database} with {number_of(len(verdict.tenants), 'tenant')} on {place}\n"
    )
    if verdict.emulated:
        sys.stdout.write("[WARNING] It proves nothing about AWS; Phase 3 demands --target aws\n")
    return RELIABLE


def _span(text: str) -> timedelta:
    found = re.fullmatch(r"(\d+)([smhd])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no span of time; write 90s, 30m, 1h or 2d")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
