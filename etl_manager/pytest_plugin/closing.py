"""The report of a run is closed when the run has ended: counted, compared, sealed by a manifest and summed up."""

from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Generator, Sequence
from datetime import datetime, timezone
from pathlib import Path

import pytest

from etl_manager.evidence.surroundings import write_environment
from etl_manager.gate.binding import sql_digest
from etl_manager.provenance import Source
from etl_manager.provisioning import Run
from etl_manager.pytest_plugin.collection import SCENARIO, project_config
from etl_manager.pytest_plugin.options import SETTINGS
from etl_manager.pytest_plugin.session import RUN
from etl_manager.pytest_plugin.staging import STAGING
from etl_manager.pytest_plugin.tally import proof
from etl_manager.report import SUMMARY, VERDICT_PAGE, closing
from etl_manager.report.assessment import Assessment
from etl_manager.report.contents import headline
from etl_manager.report.facts import facts
from etl_manager.report.promised import promised
from etl_manager.report.record import Changes, Record
from etl_manager.wording import number_of


class Closing:
    """Closes the report of one run, whose results are written into each of *directories*."""

    def __init__(self, session: pytest.Session, directories: Sequence[Path], made_from: Source) -> None:
        """Begin."""
        self._directories = directories
        self._staging = session.config.stash[STAGING]
        self._source, self._digest = made_from, sql_digest(session.config.rootpath)
        self._started = _now()
        self._promised = promised(session.config.rootpath, project_config(session.config))
        selected = Counter(proof(item) for item in session.items if SCENARIO in item.stash)
        self._left_out = tuple((Counter(self._promised) - selected).elements())
        self._closed: tuple[Assessment, str] | None = None

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Close the report after everybody else has written what is covered by it, and before the terminal sums up."""
        result = yield
        config = session.config
        run = config.stash.get(RUN, None)
        known = facts(
            project_config(config),
            config.stash[SETTINGS].target,
            run,
            source=self._source,
            digest=self._digest,
        )
        for directory in self._directories:
            write_environment(directory, known)
        record = Record(
            run_id=run.batches.bastion.run_id if run else secrets.token_hex(6),
            started=self._started,
            finished=_now(),
            mode=config.stash[SETTINGS].mode.value,
            exit_status=int(session.exitstatus),
            facts=known,
            changes=_changes(run),
            promised=tuple(self._promised),
            left_out=self._left_out,
        )
        self._closed = closing.close(self._staging.folder, record)
        return result

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        """Say where the verdict is, and the digest by which the evidence can be checked."""
        if self._closed is None:
            return
        assessment, digest = self._closed
        folder = os.path.relpath(config.stash[SETTINGS].reports, config.invocation_params.dir)
        found = assessment.completeness
        terminalreporter.section("report")
        if self._staging.refused:
            terminalreporter.write_line(f"{folder}/ is left as it is: this run wrote no report and no log there.")
            return
        terminalreporter.write_line(f"{headline(assessment)}: {folder}/{VERDICT_PAGE}, {folder}/{SUMMARY}")
        terminalreporter.write_line(f"Results of {found.there} of {number_of(found.promised, 'promised scenario')}.")
        terminalreporter.write_line(f"manifest sha256:{digest}")


def begin(session: pytest.Session, directories: Sequence[Path], made_from: Source) -> None:
    """Have the report of this run, whose results go to *directories*, closed at its end."""
    session.config.pluginmanager.register(Closing(session, directories, made_from))


def _changes(run: Run | None) -> tuple[Changes, ...]:
    return tuple(
        Changes(
            phase=report.phase,
            created=len(report.of("created")),
            unchanged=report.unchanged,
            repaired=tuple(str(change).removeprefix("repaired ") for change in report.of("repaired")),
            lost=tuple(report.lost),
        )
        for report in (run.reports.values() if run else ())
        if report.changes or report.unchanged
    )


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
