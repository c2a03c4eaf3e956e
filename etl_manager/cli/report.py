"""``python -m etl_manager report``: check the evidence of the last run, or render it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from etl_manager.errors import VerificationError
from etl_manager.redaction import redact
from etl_manager.report import MANIFEST, folder
from etl_manager.report.page import counted, headline
from etl_manager.report.verdict import assess
from etl_manager.wording import bulleted, number_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what can be done with a report to *parser*."""
    parser.add_argument(
        "--reports", type=Path, default=Path("reports"), metavar="DIR", help="where it is (default: %(default)s)"
    )
    what = parser.add_subparsers(dest="what", required=True, metavar="check|render")
    check = what.add_parser("check", help="say whether results, verdict and summary are as the run left them")
    check.add_argument(
        "--digest", metavar="SHA256", help="the digest of its manifest that the run showed on its terminal"
    )
    what.add_parser("render", help="make reports/allure-report/index.html, one file that opens from disk (needs Node)")


def run(namespace: argparse.Namespace) -> int:
    """Do what *namespace* asks for and return the exit status.

    Raises:
        ProvisioningError: When it cannot be done, or the evidence is not as it was left.
    """
    if namespace.what == "check":
        said = check(namespace.reports, namespace.digest)
    else:
        from etl_manager.report.render import render

        said = f"The report is {render(namespace.reports)}"
    print(redact(said))  # noqa: T201  # what the command is for
    return 0


def check(reports: Path, expected: str | None = None) -> str:
    """Return one line about evidence that is as the run left it.

    Args:
        reports: The folder it is in.
        expected: What the manifest's digest must be; None where it was not noted.

    Raises:
        VerificationError: When it is not; the message lists every difference.
    """
    found = list(_differences(reports, expected))
    if found:
        raise VerificationError(
            f"The evidence is not as the run left it: {len(found)}\n{bulleted(found)}",
            context={"folder": reports},
            hint="Do not rely on it. Run again, or fetch the report of that run anew.",
        )
    assessment = assess(reports)
    files = len((reports / MANIFEST).read_text().splitlines())
    return (
        f"As run {assessment.record.run_id} left it: {number_of(files, 'file')}; manifest sha256:{folder.digest(reports)}\n"
        f"{headline(assessment)}: {counted(assessment.gate.scenarios if assessment.gate else None)}"
    )


def _differences(reports: Path, expected: str | None) -> Iterator[str]:
    """Yield what is not as the run left it; files first, since the pages follow from them."""
    digest = folder.digest(reports)
    if not digest:
        yield f"{MANIFEST}: missing: the run did not come to its end, or none was made"
        return
    if expected is not None and expected.removeprefix("sha256:").lower() != digest:
        yield f"{MANIFEST}: its digest is {digest}, and was to be {expected.removeprefix('sha256:')}"
    yield from folder.differences(reports)
    for name, text in folder.pages(reports, assess(reports)):
        path = reports / name
        if not path.is_file():
            yield f"{name}: missing"
        elif path.read_text(encoding="utf-8", errors="replace") != text:
            yield f"{name}: not what this version of the project makes of the results and their manifest"
