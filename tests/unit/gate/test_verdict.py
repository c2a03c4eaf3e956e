"""The verdict: what makes it ready, the schema it is published with, and its page."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from etl_manager import config as configuration
from etl_manager.gate.prerequisites import PREREQUISITES
from etl_manager.gate.verdict import (
    PrerequisiteResult,
    ProofLog,
    Scenarios,
    SessionInfo,
    Verdict,
    blocking_reasons,
    build_verdict,
    schema,
)
from tests.support.project import ROOT
from tests.unit.gate.verdicts import made_verdict

PUBLISHED = json.loads((ROOT / "docs/phase3-gate.schema.json").read_text())
ALL = Scenarios(promised=9, passed=7, failed=0, not_run=0, not_applicable=2)


def why_not(**changes: Any) -> list[str]:
    """Return what is wrong with a verdict in order, but for *changes*."""
    return list(blocking_reasons(made_verdict(**changes)))


def results(id_: str, status: str, detail: str = "told") -> tuple[PrerequisiteResult, ...]:
    """Return results that passed, but for one."""
    return tuple(
        PrerequisiteResult(id=item.id, title=item.title, status=status if item.id == id_ else "passed", detail=detail)  # type: ignore[arg-type]
        for item in PREREQUISITES
    )


def test_all_proven_is_ready():
    """Nothing stands in the way when everything was proven, on AWS or emulated."""
    assert why_not() == []
    assert why_not(emulated=True) == []


@pytest.mark.parametrize("id_", [item.id for item in PREREQUISITES])
@pytest.mark.parametrize("status", ["failed", "not-run"])
def test_each_prerequisite_counts(id_, status):
    """One that failed or was not run is enough, and it is named."""
    [reason] = why_not(prerequisites=results(id_, status))
    assert id_ in reason


@pytest.mark.parametrize("item", PREREQUISITES, ids=lambda item: item.id)
def test_not_applicable_is_for_aws_alone_to_answer(item):
    """On AWS everything applies; on an emulated target only what AWS alone can answer does not."""
    some = results(item.id, "not-applicable")
    assert why_not(prerequisites=some, emulated=False) == [f"{item.id} was not proven, and applies here"]
    assert (why_not(prerequisites=some, emulated=True) == []) is item.asks_aws


def test_prerequisite_that_is_absent_was_not_proven():
    """A verdict that lost one is not ready."""
    assert why_not(prerequisites=results("", "passed")[1:]) == ["not proven in this run: database-exists"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tenants": ()}, "there is no tenant to replicate"),
        ({"data_filter": None}, "there is no data filter to give to Phase 3"),
        (
            {"scenarios": Scenarios(promised=9, passed=6, failed=1, not_run=0, not_applicable=2)},
            "1 of 9 scenarios failed",
        ),
        (
            {"scenarios": Scenarios(promised=9, passed=6, failed=0, not_run=1, not_applicable=2)},
            "1 of 9 scenarios did not run: only a whole run is a proof",
        ),
        (
            {"scenarios": Scenarios(promised=9, passed=6, failed=0, not_run=0, not_applicable=2)},
            "1 of 9 scenarios did not run: only a whole run is a proof",
        ),
        (
            {"scenarios": Scenarios(promised=0, passed=0, failed=0, not_run=0, not_applicable=0)},
            "0 of 0 scenarios did not run: only a whole run is a proof",
        ),
    ],
)
def test_other_shortcomings(changes, reason):
    """No tenant, no filter, a failed scenario, one that did not run, and none at all."""
    assert why_not(**changes) == [reason]


def test_published_schema_is_the_one_of_the_code():
    """docs/phase3-gate.schema.json is what the code accepts, and is itself a schema."""
    import jsonschema  # it takes seconds, as often as tests are collected

    assert schema() == PUBLISHED
    jsonschema.Draft202012Validator.check_schema(PUBLISHED)


def test_published_schema_takes_verdicts_and_refuses_contradictions():
    """A ready verdict has no reasons, only proven prerequisites, tenants and a filter; another one has reasons."""
    import jsonschema

    validator = jsonschema.Draft202012Validator(PUBLISHED)
    good = json.loads(made_verdict().model_dump_json())
    assert list(validator.iter_errors(good)) == []
    failed = [good["prerequisites"][0] | {"status": "failed"}, *good["prerequisites"][1:]]
    for change in (
        {"reasons": ["why"]},
        {"tenants": []},
        {"data_filter": None},
        {"prerequisites": failed},
        {"ready": False},
        {"unheard": 1},
        {"schema_version": 2},
        {"source": good["source"] | {"sql_sha256": "x"}},
    ):
        assert list(validator.iter_errors(good | change)), change


def test_model_refuses_what_is_not_a_verdict():
    """Missing parts, unknown parts and converted values are no verdict."""
    good = json.loads(made_verdict().model_dump_json())
    for bad in (good | {"ready": "true"}, good | {"more": 1}, {key: good[key] for key in good if key != "tenants"}):
        with pytest.raises(ValidationError):
            Verdict.model_validate_json(json.dumps(bad))
    assert Verdict.model_validate_json(json.dumps(good)) == made_verdict()


def test_project_that_changes_while_it_is_proven_is_not_proven():
    """SQL that was edited during the run is not what the run proved."""
    source = made_verdict().source
    session = SessionInfo(
        target="local",
        emulated=True,
        mode="provision",
        region="us-east-1",
        source=source,
        source_afterwards=source,
        scenarios=ALL,
        at=made_verdict().checked_at,
    )
    config = configuration.load(ROOT / "config.json", ROOT)
    edited = replace(session, source_afterwards=source.model_copy(update={"sql_sha256": "d" * 64}))
    before, after = (build_verdict(ProofLog(), config, known, None, None) for known in (session, edited))
    assert set(after.reasons) - set(before.reasons) == {"the project changed while it was proven: run again"}
