"""What a frame held is shown nowhere in a run of features: nobody registered the secret that a library had in hand."""

from __future__ import annotations

import pytest

UNFORESEEN = "UNFORESEEN"
LIBRARY = f"""
SEALED = "".join(reversed({UNFORESEEN[::-1]!r}))


def library(handed):
    found = {{"secret_key": handed}}
    raise KeyError("aws_secret_access_key")
"""
STEPS = f"""
import pytest
{LIBRARY}

@given("a fixture that fails", target_fixture="broken")
def fixture_fails(failing):
    pass


@pytest.fixture
def failing():
    library(SEALED)


@given("a step that fails in a library")
def step_fails():
    try:
        library(SEALED)
    except KeyError as error:
        raise RuntimeError("nobody foresaw this") from error
"""
FEATURE = """\
Feature: F

  Scenario: a fixture
    Given a fixture that fails

  Scenario: a step
    Given a step that fails in a library
"""
STYLES = [
    ["--tb=long"],
    ["--tb=long", "-l", "-vv"],
    ["-l"],
    ["--tb=short", "-l"],
    ["--full-trace", "-l"],
    ["--tb=native"],
]


def sinks(project, found):
    """Return all that a run showed and left."""
    texts = {"stdout": found.out, "stderr": found.err}
    return texts | {path.name: path.read_text() for path in project.path.glob("reports/**/*") if path.is_file()}


@pytest.mark.parametrize("style", STYLES, ids=" ".join)
def test_locals_and_arguments_are_shown_nowhere(project, style):
    """Terminal, JUnit, Allure and log hold the traceback, and none of the values in its frames."""
    project.append("sentences.py", STEPS)
    project.write("features/1.feature", FEATURE)
    project.write("test_beside.py", f"{LIBRARY}\n\ndef test_beside():\n    library(SEALED)\n")
    found = project.run("features/", "test_beside.py", "--junitxml=reports/junit.xml", "-rA", *style)
    assert found.status == 1
    texts = sinks(project, found)
    for name in ("stdout", "junit.xml", "run.log"):
        assert "nobody foresaw this" in texts[name], name
    assert "sentences.py" in found.out
    assert not [name for name, text in texts.items() if UNFORESEEN in text]


def test_tests_without_features_keep_their_locals(project):
    """The suite does not meddle with a run that has no scenario in it."""
    project.write("test_alone.py", f"{LIBRARY}\n\ndef test_alone():\n    library(SEALED)\n")
    assert UNFORESEEN in project.run("test_alone.py", "-l").out


@pytest.mark.parametrize("hook", ["pytest_runtestloop", "pytest_collection_modifyitems"])
def test_an_internal_error_shows_no_values(project, hook):
    """A defect of a plugin is told by its traceback alone."""
    project.append("conftest.py", f"{LIBRARY}\n\ndef {hook}():\n    library(SEALED)\n")
    project.write("features/1.feature", FEATURE)
    project.append("sentences.py", STEPS)
    found = project.run("features/", "--full-trace", "-l")
    assert found.status == 3
    assert "INTERNALERROR" in found.out + found.err
    assert not [name for name, text in sinks(project, found).items() if UNFORESEEN in text]


def test_what_cannot_be_collected_shows_no_values(project):
    """Nor does a module beside the features that fails as it is loaded."""
    project.write("test_broken.py", f"{LIBRARY}\n\nlibrary(SEALED)\n")
    found = project.run("test_broken.py", "--tb=long", "-l")
    assert found.status == 2
    assert "KeyError" in found.out
    assert UNFORESEEN not in found.out
