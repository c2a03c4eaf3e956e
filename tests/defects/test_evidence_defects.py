"""Whatever is altered in what a run left, or in what it rests on, is named, and the verdict is not relied on."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from etl_manager.cli.report import check
from etl_manager.errors import VerificationError
from etl_manager.gate.check import invalid_because, source_of
from etl_manager.report import folder
from tests.defects.evidence import HARMLESS, LEFT, PROJECT, VERDICT, WENT
from tests.unit.gate.test_verdict_check import Checkout
from tests.unit.gate.verdicts import made_verdict
from tests.unit.report.folder import Folder


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """What a run left that was not ready."""
    folder = Folder(tmp_path)
    folder.results("failed", "rows of t2.users: expected 5, found 4")
    folder.gate(ready=False)
    (tmp_path / "run.log").write_text("what happened\n")
    folder.close()
    check(tmp_path)
    return tmp_path


@pytest.mark.parametrize("case", LEFT)
def test_alteration_of_the_evidence_is_found(reports: Path, case: str) -> None:
    """It is named by the check; and so is another manifest, where its digest was noted."""
    digest = folder.digest(reports)
    LEFT[case].alter(reports)
    with pytest.raises(VerificationError) as found:
        check(reports)
    assert LEFT[case].told in found.value.message
    if folder.digest(reports) not in (digest, ""):
        with pytest.raises(VerificationError, match=f"was to be {digest}"):
            check(reports, digest)


@pytest.mark.parametrize("case", HARMLESS)
def test_evidence_that_is_as_it_was_stays_green(reports: Path, case: str) -> None:
    """Nothing is named."""
    digest = folder.digest(reports)
    HARMLESS[case](reports)
    assert "Not ready for Phase 3" in check(reports, digest)


@pytest.mark.parametrize("case", WENT)
def test_scenario_that_did_not_hold_is_found(tmp_path: Path, case: str) -> None:
    """The gate's word does not count against it."""
    make, told = WENT[case]
    folder = Folder(tmp_path)
    known = make(folder)
    folder.gate()
    verdict = folder.close(**known)
    assert verdict.state == "not-ready"
    assert f"the gate says ready, but {told}" in verdict.reasons


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A project with one commit."""
    return Checkout(tmp_path_factory.mktemp("project"))


@pytest.mark.parametrize("case", VERDICT)
def test_altered_verdict_is_found(checkout: Checkout, case: str) -> None:
    """The word ready is not enough."""
    alter, told = VERDICT[case]
    true = made_verdict(source=source_of(checkout.path, checkout.path / "config.json"))
    made = {name: getattr(true, name) for name in type(true).model_fields}
    altered = true.model_copy(update=alter(made))
    said = invalid_because(altered, checkout.path, now=true.checked_at, max_age=timedelta(hours=1), target="aws")
    assert told in "\n".join(said)
    assert not [*invalid_because(true, checkout.path, now=true.checked_at, max_age=timedelta(hours=1), target="aws")]


@pytest.mark.parametrize("case", PROJECT)
def test_altered_project_is_found(tmp_path: Path, case: str) -> None:
    """What was proven must still be there."""
    name, text, told = PROJECT[case]
    checkout = Checkout(tmp_path)
    verdict = checkout.verdict()
    checkout.write(name, text)
    assert checkout.objections(verdict, target="aws") == [told]
