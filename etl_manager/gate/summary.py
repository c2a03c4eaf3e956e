"""The verdict on one page of Markdown, for a CI job's summary or a comment on a pull request."""

from __future__ import annotations

from collections.abc import Iterator

from etl_manager.gate.verdict import Proof, Verdict

MOST_REASONS, MOST_TENANTS = 10, 10
LONGEST_FILTER = 2_000
SIGNS = {"passed": "✅ passed", "failed": "❌ failed", "not-run": "⚪ not run", "not-applicable": "⚫ not applicable"}


def markdown(verdict: Verdict) -> str:
    """Return the page."""
    return "\n".join(_lines(verdict)) + "\n"


def _lines(verdict: Verdict) -> Iterator[str]:
    yield f"# Phase 3 gate: {'ready' if verdict.ready else 'not ready'}"
    yield ""
    if verdict.emulated:
        yield "> **Emulated.** What answered was not AWS: this proves nothing about an Aurora cluster."
        yield ""
    if verdict.reasons:
        yield "Phase 3 may not start:"
        yield ""
        yield from (f"- {_text(reason)}" for reason in verdict.reasons[:MOST_REASONS])
        if len(verdict.reasons) > MOST_REASONS:
            yield f"- … and {len(verdict.reasons) - MOST_REASONS} more"
        yield ""
    yield "| prerequisite | status | found |"
    yield "|---|---|---|"
    for proof in verdict.prerequisites:
        yield f"| {_text(proof.title)}<br>`{proof.id}` | {SIGNS[proof.status]} | {_found(proof)} |"
    yield ""
    yield from _changes(verdict)
    if verdict.data_filter is not None:
        shown = verdict.data_filter[:LONGEST_FILTER]
        yield "Data filter:"
        yield ""
        yield "```"
        yield shown + (" …" if len(shown) < len(verdict.data_filter) else "")
        yield "```"
        yield ""
    yield from _binding(verdict)


def _found(proof: Proof) -> str:
    first, *more = proof.detail.splitlines() or [""]
    return _text(first) + (f"<br>… {max(len(proof.findings) - 1, len(more))} more" if more else "")


def _changes(verdict: Verdict) -> Iterator[str]:
    repaired = [
        f"- repaired by phase {phase.phase}: {_text(line)}" for phase in verdict.phases for line in phase.repaired
    ]
    if repaired:
        yield "**This run repaired what it then proved:**"
        yield ""
        yield from repaired[:MOST_REASONS]
        if len(repaired) > MOST_REASONS:
            yield f"- … and {len(repaired) - MOST_REASONS} more"
        yield ""


def _binding(verdict: Verdict) -> Iterator[str]:
    tenants = ", ".join(verdict.tenants[:MOST_TENANTS])
    if len(verdict.tenants) > MOST_TENANTS:
        tenants += f" and {len(verdict.tenants) - MOST_TENANTS} more"
    scenarios, source = verdict.scenarios, verdict.source
    commit = (source.commit or "none") + (", with changes it does not hold" if source.dirty else "")
    yield "| bound to | |"
    yield "|---|---|"
    for name, value in {
        "target": f"{verdict.target}, {verdict.mode}",
        "account and region": f"{verdict.account or 'unknown'}, {verdict.region}",
        "cluster": verdict.cluster or verdict.endpoint or "not found",
        "database": verdict.database,
        "tenants": f"{len(verdict.tenants)}: {tenants}",
        "scenarios": f"{scenarios.passed} passed, {scenarios.failed} failed, {scenarios.not_run} not run,"
        f" {scenarios.not_applicable} not applicable, of {scenarios.promised}",
        "commit": commit,
        "sql/": source.sql_sha256,
        "configuration": f"{source.config}, {source.config_sha256}",
        "checked at": verdict.checked_at.isoformat(timespec="seconds"),
        "run": verdict.run_id,
    }.items():
        yield f"| {name} | {_text(value)} |"


def _text(value: str) -> str:
    """Return *value* on one line, with nothing that Markdown or HTML would take for its own."""
    flat = " ".join(value.split())
    for sign in "\\`*_<>[]#|":
        flat = flat.replace(sign, f"\\{sign}")
    return flat
