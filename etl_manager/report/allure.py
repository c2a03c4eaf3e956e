"""Allure's files on disk: results with their labels, and what describes the run; each whole, none with a secret."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, TypeVar

import allure
import allure_commons
from allure_commons.model2 import (
    Attachment,
    Label,
    Link,
    Parameter,
    Status,
    StatusDetails,
    TestResult,
    TestStepResult,
)

from etl_manager.errors import FailureKind, ProvisioningError
from etl_manager.git import Repository
from etl_manager.redaction import masked, redact
from etl_manager.report import compat
from etl_manager.report.feature_files import ScenarioId
from etl_manager.report.results import FAILURE_KIND, PREREQUISITE, SCENARIO
from etl_manager.wording import as_csv

Function = TypeVar("Function", bound=Callable[..., object])

EPIC = "Phase 2: the multi-tenant database"
"""What all scenarios are about."""

SEVERITIES = {
    "database": "blocker",
    "schema": "critical",
    "data": "critical",
    "isolation": "critical",
    "verification": "critical",
    "gate": "blocker",
}
"""The tag of a phase → how severe a failure of one of its scenarios is: nothing can go on after a blocker."""

GROUP = 100
"""Tenants in one group of the report's tree; that many or fewer are not grouped."""


def _tenant_groups(tenants: Sequence[str]) -> dict[str, str]:
    """Return each of *tenants* with the name of its group; none where no groups are needed."""
    if len(tenants) <= GROUP:
        return {}
    named: dict[str, str] = {}
    for start in range(0, len(tenants), GROUP):
        part = tenants[start : start + GROUP]
        digits = len(str(len(tenants)))  # names are sorted as text
        name = f"{start + 1:0{digits}}-{start + len(part):0{digits}} of {len(tenants)}: {part[0]} to {part[-1]}"
        named |= dict.fromkeys(part, name)
    return named


def describe(function: Function, *, feature: str, story: str, description: str, tags: Collection[str]) -> Function:
    """Return *function*, the test of a scenario, labelled for the report.

    Done at collection, so that a scenario whose set-up fails has its labels too.

    Args:
        function: The test.
        feature: Name of its feature.
        story: What it is grouped by: the rule, or the scenario.
        description: The descriptions of feature, rule and scenario.
        tags: Those of the scenario, its rule and its feature: one of them may be a phase.
    """
    phase = next((tag for tag in SEVERITIES if tag in tags), None)
    labels = [allure.epic(EPIC), allure.feature(feature), allure.story(story), allure.description(description)]
    labels += [allure.label("phase", phase)] if phase else []
    labels.append(allure.severity(SEVERITIES.get(phase or "", "normal")))
    for decorate in labels:
        function = decorate(function)
    return function


_MARK = "  kind:  "


def with_kind(trace: str, kind: FailureKind) -> str:
    """Return *trace* with the *kind* at its end: Allure's categories can match nothing but message and trace."""
    return f"{trace}\n{_MARK}{kind.title}"


def _write_categories(directory: Path) -> None:
    """Write the kinds of failure as Allure's categories into *directory*: one file serves Allure 2 and Allure 3."""
    categories: list[dict[str, object]] = [
        {
            "name": kind.title,
            "matchedStatuses": [kind.status],
            "traceRegex": f".*{_MARK.strip()} +{re.escape(kind.title)}.*",
        }
        for kind in FailureKind
        if kind.status != Status.SKIPPED
    ]
    categories += [
        {"name": FailureKind.NOT_RUN.title, "matchedStatuses": ["skipped"], "messageRegex": ".*not run because.*"},
        {"name": FailureKind.NOT_APPLICABLE.title, "matchedStatuses": ["skipped"]},
    ]
    (directory / "categories.json").write_text(json.dumps(categories, indent=2), encoding="utf-8")


def write_environment(directory: Path, facts: Mapping[str, str]) -> None:
    """Write *facts* about the environment beside the results in *directory*."""
    lines = [f"{_escaped(name)}={_escaped(value)}" for name, value in facts.items()]
    (directory / "environment.properties").write_text("\n".join([*lines, ""]), encoding="utf-8")


def _write_executor(directory: Path) -> None:
    """Write who ran it beside the results, where the variables of the environment are those of GitHub Actions.

    GitHub: "Store information in variables", default environment variables.
    """
    variables = os.environ
    if variables.get("GITHUB_ACTIONS") != "true":
        return
    base = f"{variables.get('GITHUB_SERVER_URL', '')}/{variables.get('GITHUB_REPOSITORY', '')}"
    attempt = variables.get("GITHUB_RUN_ATTEMPT", "1")
    run = f"{base}/actions/runs/{variables.get('GITHUB_RUN_ID', '')}/attempts/{attempt}"
    number = variables.get("GITHUB_RUN_NUMBER", "0")
    executor = {
        "name": "GitHub Actions",
        "type": "github",
        "url": base,
        "buildOrder": int(number) if number.isdigit() else 0,
        "buildName": f"{variables.get('GITHUB_WORKFLOW', 'workflow')} #{number}.{attempt}",
        "buildUrl": run,
        "reportName": EPIC,
    }
    (directory / "executor.json").write_text(json.dumps(executor, indent=2), encoding="utf-8")


def _escaped(text: str) -> str:
    """Return *text* as a Java properties file writes it."""
    return re.sub(r"([\\=:#!])", r"\\\1", redact(text)).replace("\n", "\\n")


class ResultWriter:
    """Writes Allure's files.

    Containers are left out: they describe fixtures, and every Gherkin step would be one, 7 files of 8.
    """

    def __init__(self, directory: Path, writing: Callable[[], AbstractContextManager[None]]) -> None:
        """Write into *directory*, each file within *writing*."""
        self._directory, self._writing = directory, writing

    @allure_commons.hookimpl
    def report_result(self, result: TestResult) -> None:
        """Write *result*."""
        text = json.dumps(compat.as_data(result, redact), ensure_ascii=False)
        self._write(result.file_pattern.format(prefix=result.uuid), text.encode())

    @allure_commons.hookimpl
    def report_attached_data(self, body: str | bytes, file_name: str) -> None:
        """Write an attachment."""
        raw = body.encode(errors="surrogatepass") if isinstance(body, str) else body
        try:
            whole = redact(raw.decode()).encode()
        except UnicodeDecodeError:  # no text, such as a picture
            whole = masked(raw.decode(errors="surrogateescape")).encode(errors="surrogateescape")
        self._write(file_name, whole)

    @allure_commons.hookimpl
    def report_attached_file(self, source: str, file_name: str) -> None:
        """Write an attachment that is a file already."""
        self.report_attached_data(Path(source).read_bytes(), file_name)

    def _write(self, name: str, body: bytes) -> None:
        unfinished = self._directory / f"{name}.tmp"
        with self._writing():
            unfinished.write_bytes(body)
            unfinished.replace(self._directory / name)


Kind = Literal["text", "sql", "csv", "json", "command"]
"""What an attachment is; *command*: the facts of an SSM command, as JSON."""

LIMIT = 64 * 1024
"""The most bytes of an attachment that are kept."""

EXAMPLE = "_pytest_bdd_example"
"""The parameter by which pytest-bdd gives a test its row."""

_TYPES: dict[Kind, tuple[str, str]] = {
    # Allure shows these media types in the page; any other could only be downloaded.
    "text": ("text/plain", "txt"),
    "sql": ("text/plain", "sql"),
    "csv": ("text/csv", "csv"),
    "json": ("application/json", "json"),
    "command": ("application/json", "json"),
}


class Recorder:
    """Records the scenario that runs. There is one at a time."""

    def __init__(self, current: Callable[[], TestResult], source: Repository, groups: Mapping[str, str]) -> None:
        """Record into the result that *current* returns.

        Args:
            current: Gives the result of the scenario that runs.
            source: What is run.
            groups: Tenant → the group it is filed in, where there are many.
        """
        self._current = current
        self._source = source
        self._groups = groups
        self._scenario = ScenarioId("", "")
        self._step: TestStepResult | None = None
        self._command: tuple[str, str, TestResult] | None = None

    def name(self, title: str, scenario: ScenarioId, location: tuple[str, int]) -> None:
        """Give the running test its *title*, its *scenario*, and the file and line of that.

        Allure derives file, name and parameters from the node id, where the value of a cell may look like a separator.
        """
        result, row = self._current(), dict(scenario.row)
        self._scenario = scenario
        result.name = title
        result.titlePath = scenario.file.split("/")
        result.fullName = f"{scenario.file.replace('/', '.')}#{scenario.name}"
        result.testCaseId = compat.md5(result.fullName)
        self.label(SCENARIO, scenario.id)
        if "tenant" in row:
            tenant = row["tenant"]
            self.label("tenant", tenant)
            if tenant in self._groups:
                self.label("tenants", self._groups[tenant])
        path, line = location
        note = f"Source: `{path}:{line}` at commit `{self._source}`"
        result.description = f"{result.description}\n\n{note}" if result.description else note
        self._link(path, line)

    def settle_parameters(self, others: Collection[str]) -> None:
        """Let the running test be known by its row and by *others*; what else was made a parameter is only shown."""
        result, row = self._current(), dict(self._scenario.row)
        result.parameters = [
            *(Parameter(name=column, value=value) for column, value in row.items()),
            *(
                compat.evolve(item, excluded=item.excluded or item.name not in others or None)
                for item in result.parameters
                if item.name not in {*row, EXAMPLE}
            ),
        ]

    def begin_step(self, title: str) -> None:
        """Open the step *title*; what is attached from now on belongs to it."""
        self._step = TestStepResult(name=title, start=compat.now())
        self._current().steps.append(self._step)

    def end_step(self, error: BaseException | None = None) -> None:
        """Close the open step, if one is open: *error* is what ended it."""
        if self._step is None:
            return
        self._step.stop = compat.now()
        self._step.status = _status(error)
        if error is not None:
            self._step.statusDetails = _details(error)
            self._attach_reasons(error)
            # An interrupted test gets no report: it would keep the status of its set-up, which passed.
            self._current().status = self._step.status
        self._step = None

    def label(self, name: str, value: str) -> None:
        """Label the running test."""
        self._current().labels.append(Label(name=name, value=value))

    def skip_step(self, title: str) -> None:
        """Record a step that did not run because one before it did not pass."""
        at = compat.now()
        self._current().steps.append(TestStepResult(name=title, start=at, stop=at, status=Status.SKIPPED))

    def set_outcome(self, error: BaseException, details: str, log: str) -> None:
        """Record how the running test ended: *failed* is the database's fault, *broken* that of what the suite needs.

        Args:
            error: What ended it.
            details: How pytest shows it.
            log: What was logged meanwhile.
        """
        result, kind = self._current(), _kind(error)
        result.status = _status(error)
        if kind is None or result.status == Status.SKIPPED:
            result.statusDetails = _details(error)
            return
        self.label(FAILURE_KIND, kind.name)
        result.statusDetails = _details(error, with_kind(details, kind))
        if self._command and result.status == Status.FAILED and self._command[2] is not result:
            name, content, runner = self._command
            self.attach(f"{name}, run by: {runner.name}", content, "json")
        if log:
            self.attach("log of the scenario", log, "text")

    def attach(self, name: str, content: str, kind: Kind) -> None:
        """Attach *content* to the open step, or to the test between steps; SQL is linked to its source as well."""
        media_type, extension = _TYPES[kind]
        whole = redact(content).encode()
        body = whole
        if len(whole) > LIMIT:
            digest = hashlib.sha256(whole).hexdigest()
            note = f"\n[cut: {LIMIT} of {len(whole)} bytes; SHA-256 of the whole: {digest}]\n"
            body = whole[:LIMIT].decode(errors="ignore").encode() + note.encode()
            media_type, extension = _TYPES["text"]
        file_name = compat.attachment_name(extension)
        owner = self._step or self._current()
        if owner is not None:
            owner.attachments.append(Attachment(name=name, source=file_name, type=media_type))
            allure_commons.plugin_manager.hook.report_attached_data(body=body, file_name=file_name)
            if kind == "sql":
                self._link(name)
            elif kind == "command" and self._step:
                self._command = name, content, self._current()

    def _attach_reasons(self, error: BaseException) -> None:
        """Attach what was expected and found; or what is known of a failure without output, such as its SSM command."""
        expected, found = _sides(error)
        if expected is not None:
            self.attach("expected and found", as_csv([("expected", "found"), (expected, found)]), "csv")
        if isinstance(error, ProvisioningError) and error.context and error.kind.status != Status.SKIPPED:
            facts = {"what": error.message, **error.context, "next": error.hint}
            self.attach("facts of the failure", json.dumps(facts, indent=2, default=str, ensure_ascii=False), "json")

    def _link(self, path: str, line: int | None = None) -> None:
        result, url = self._current(), self._source.link(path, line)
        if url and all(link.url != url for link in result.links):
            result.links.append(Link(type="link", url=url, name=f"{path} at {self._source.commit[:12]}"))


def _kind(error: BaseException) -> FailureKind | None:
    """Return what kind of failure *error* is; None where a test skipped itself."""
    if isinstance(error, ProvisioningError):
        return error.kind
    kinds = {Status.SKIPPED: None, Status.FAILED: FailureKind.DIFFERENCE}
    return kinds.get(compat.get_status(error), FailureKind.DEFECT)


def _status(error: BaseException | None) -> str:
    """Return Allure's status."""
    kind = _kind(error) if error is not None else None
    return kind.status if kind else str(compat.get_status(error))


def _details(error: BaseException, trace: str | None = None) -> StatusDetails:
    """Return why it ended: what was expected and found comes first where *error* knows both."""
    message = _message(error)
    expected, found = _sides(error)
    if expected is None:
        return StatusDetails(message=message, trace=trace)
    return compat.ComparedDetails(message=message, trace=trace, expected=expected, actual=found)


def _sides(error: BaseException) -> tuple[str, str] | tuple[None, None]:
    """Return what *error* expected and found, where it knows both."""
    if not (hasattr(error, "expected") and hasattr(error, "found")):
        return None, None
    return str(error.expected), str(error.found)


def _message(error: BaseException) -> str:
    """Return what *error* says; a kind of error that does not speak for itself is named."""
    speaks = isinstance(error, ProvisioningError | AssertionError) or compat.get_status(error) == Status.FAILED
    return str(error) if speaks and str(error) else f"{type(error).__name__}: {error}"


_recorder: Recorder | None = None


def attach(name: str, content: str, kind: Kind = "text") -> None:
    """Attach *content* to the running step; without secrets, and at most `LIMIT` bytes with the digest of the whole."""
    if _recorder is not None:
        _recorder.attach(name, content, kind)


def label_prerequisite(prerequisite: str) -> None:
    """Label the running test as the proof of *prerequisite*, by its id."""
    if _recorder is not None:
        _recorder.label(PREREQUISITE, prerequisite)


def record_setup_failure(title: str, error: BaseException, details: str) -> None:
    """Record *error*, a failure of no scenario, as a result of its own called *title*; *details* is what pytest shows."""
    if _recorder is None:
        return
    kind = _kind(error) or FailureKind.DEFECT
    name, at = f"environment#{title}", compat.now()
    digest = compat.md5(name)
    result = TestResult(
        uuid=compat.uuid4(),
        name=title,
        fullName=name,
        titlePath=["environment"],
        testCaseId=digest,
        historyId=digest,
        status=kind.status,
        statusDetails=StatusDetails(message=details, trace=with_kind(details, kind)),
        labels=[
            Label(name="epic", value=EPIC),
            Label(name="feature", value="Environment"),
            Label(name=FAILURE_KIND, value=kind.name),
        ],
        start=at,
        stop=at,
    )
    allure_commons.plugin_manager.hook.report_result(result=result)


def prepare(directory: Path) -> None:
    """Make the folder *directory* for results, with what is about all of them."""
    directory.mkdir(parents=True, exist_ok=True)
    _write_categories(directory)
    _write_executor(directory)


def start_recording(
    config: Any,
    directories: Sequence[Path],
    *,
    source: Repository,
    tenants: Sequence[str],
    writing: Callable[[], AbstractContextManager[None]],
) -> Recorder:
    """Write Allure results into each of *directories*, see `prepare`, until pytest's *config* is done with.

    Args:
        config: pytest's own.
        directories: Where to.
        source: What is run, so that evidence can be linked to it.
        tenants: All of them.
        writing: What each file is written within: it may take errors of writing.
    """
    global _recorder  # noqa: PLW0603 - library code attaches without knowing whether a report is written
    current = compat.listen(config, [ResultWriter(directory, writing) for directory in directories])
    _recorder = Recorder(current, source, _tenant_groups(tenants))
    config.add_cleanup(_stop)
    return _recorder


def _stop() -> None:
    global _recorder  # noqa: PLW0603
    _recorder = None
