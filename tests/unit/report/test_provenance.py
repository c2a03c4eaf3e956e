"""What ran is linked to its source at the commit, and credentials of the remote never show."""

from __future__ import annotations

import pytest

from etl_manager.git import repository
from tests.support.project import git


@pytest.fixture
def checkout(tmp_path):
    git(tmp_path, "init", "--quiet")
    (tmp_path / "a b.sql").write_text("select 1;")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    return tmp_path


@pytest.mark.parametrize(
    ("remote", "web"),
    [
        ("https://github.com/team/project.git", "https://github.com/team/project"),
        ("https://operator:hunter2@git.example.com/team/project.git", "https://git.example.com/team/project"),
        ("https://token@git.example.com:8443/team/project/", "https://git.example.com/team/project"),
        ("git@github.com:team/project.git", "https://github.com/team/project"),
        ("ssh://git@git.example.com:2222/team/sub/project.git", "https://git.example.com/team/sub/project"),
        ("/srv/git/project.git", ""),
        ("../project", ""),
        ("file:///srv/git/project.git", ""),
    ],
)
def test_remote_as_a_browser_opens_it(checkout, remote, web):
    """User, password, token and port of a remote are left out; a remote that is a folder has no address."""
    git(checkout, "remote", "add", "origin", remote)
    found = repository(checkout)
    assert found.web == web
    commit = git(checkout, "rev-parse", "HEAD")
    assert found.link("a b.sql", 3) == (f"{web}/blob/{commit}/a%20b.sql#L3" if web else "")


def test_gitlab_has_its_own_form(checkout):
    """GitLab's addresses have a dash before blob."""
    git(checkout, "remote", "add", "origin", "git@gitlab.example.com:team/project.git")
    assert "/team/project/-/blob/" in repository(checkout).link("x.sql")


def test_project_inside_a_repository(checkout):
    """In a folder of a larger repository, links begin with that folder."""
    git(checkout, "remote", "add", "origin", "git@github.com:team/all.git")
    inside = checkout / "database/phase 2"
    inside.mkdir(parents=True)
    assert repository(inside).link("x.sql").endswith("/database/phase%202/x.sql")


def test_uncommitted_changes_are_told(checkout):
    """A file changed, or one that git does not know, makes the commit a half-truth."""
    commit = git(checkout, "rev-parse", "HEAD")
    assert str(repository(checkout)) == commit
    (checkout / "new.sql").write_text("select 2;")
    assert str(repository(checkout)) == f"{commit} + uncommitted changes"


def test_no_checkout_is_told(tmp_path, monkeypatch):
    """Outside of git, and where git's own variables point elsewhere, nothing is made up."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    found = repository(tmp_path)
    assert (str(found), found.link("x.sql")) == ("not a git checkout", "")
