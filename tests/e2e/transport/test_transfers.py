"""Archives too big for one command: in parts that survive a failure, or by way of a bucket; nothing is left behind."""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
import time
from pathlib import Path

import pytest

from etl_manager.aws.discovery import DiscoveredCluster
from etl_manager.bastion.session import BastionSession
from etl_manager.bastion.transfer import URL_SECONDS
from etl_manager.config import Config
from etl_manager.config.phases import BUILT_IN
from etl_manager.errors import CommandError, DiscoveryError, WorkspaceError
from etl_manager.provisioning.startup import open_bastion
from etl_manager.targets import TargetOptions
from etl_manager.targets.aws import AwsTarget
from tests.support import aws
from tests.support.aws import Account
from tests.support.project import ROOT
from tests.support.runs import BRIEF, Told, full_run, project

NOTHING = ["sql/aurora/inspection/inspect-database.sql"]
DAY = 86_400


@pytest.fixture(scope="session")
def ballast(tmp_path_factory) -> Path:
    """A project with a file that cannot be packed any further: its archive takes some 40 kB."""
    root = tmp_path_factory.mktemp("ballast")
    for name in ("sql", "scripts"):
        shutil.copytree(ROOT / name, root / name)
    (root / "sql/ballast").write_bytes(random.Random(1).randbytes(30_000))  # noqa: S311 - the same bytes each time
    return root


def heavy(root: Path, **transfer: object) -> Config:
    """Return a configuration whose archive is made of *root*."""
    return project(root=root, **transfer)


def opened(account: Account, config: Config) -> tuple[DiscoveredCluster, BastionSession, Told]:
    """Find the bastion of *account*."""
    told = Told()
    found, bastion = open_bastion(config, account, skip_copy=False, progress=told, warn=told.say, timeouts=BRIEF)
    return found, bastion, told


def transfer(account: Account, config: Config) -> Told:
    """Have the bastion take the archive and run something on it; close the run."""
    found, bastion, told = opened(account, config)
    try:
        _, [step] = bastion.run_sql(NOTHING, found.connection, "look", closing=True)
        assert step.exit_code == 0, step.stderr
    finally:
        bastion.close()
    return told


def comments(account: Account, word: str = "") -> list[str]:
    """Return what the commands with *word* were for."""
    return [command["Comment"].partition(" [")[0] for command in account.commands() if word in command["Comment"]]


def holds_the_archive(account: Account, config: Config) -> bool:
    """Say whether the workspace has every file of the project, byte for byte."""
    return all(
        (account.tmp / "workspace" / path.relative_to(config.root)).read_bytes() == path.read_bytes()
        for name in ("sql", "scripts")
        for path in (config.root / name).rglob("*")
        if path.is_file()
    )


@pytest.fixture(scope="module")
def in_parts(postgres, ballast, tmp_path_factory) -> tuple[Account, Told]:
    """A transfer in many parts that nothing comes in the way of."""
    folder = tmp_path_factory.mktemp("parts")
    with aws.accounts(folder, postgres) as open_, pytest.MonkeyPatch.context() as patch:
        patch.setattr("etl_manager.bastion.transfer.MANY_PARTS", 5)
        whole = open_()
        return whole, transfer(whole, heavy(ballast, max_command_bytes=12_000))


def test_parts_that_arrived_are_not_sent_again(account, ballast, in_parts):
    """A run that ended in the middle of a transfer leaves its parts; the next one sends the others."""
    config = heavy(ballast, max_command_bytes=12_000)
    broken = account("delivery-timeout=0.1@4")
    with pytest.raises(CommandError, match="did not run"):
        transfer(broken, config)
    broken.close()
    sent = len(comments(broken, "transfer")) - 1
    next_ = account(root=broken.host.root)
    transfer(next_, config)
    whole, _ = in_parts
    assert sent == 2
    assert len(comments(next_, "transfer")) == len(comments(whole, "transfer")) - sent
    assert holds_the_archive(next_, config)
    assert next_.left() == ["workspace"]


def test_workspace_that_another_run_made_meanwhile_is_taken(account, ballast):
    """Two runs with the same archive at once: the second finds it in place, though the parts are gone."""
    config = heavy(ballast)
    bastion = account()
    found, late, _ = opened(bastion, config)
    late.open()
    transfer(bastion, config)
    [before] = bastion.tmp.glob("workspace")
    inode = before.stat().st_ino
    shutil.rmtree(bastion.tmp / f"workspace.parts-{late.archive.digest}", ignore_errors=True)
    _, [step] = late.run_sql(NOTHING, found.connection, "late", closing=True)
    assert step.exit_code == 0
    assert before.stat().st_ino == inode
    assert bastion.left() == ["workspace"]


def test_command_whose_parts_another_run_took_away_is_tried_once_more(account, ballast, monkeypatch):
    """A person's command as a phase's: two first ones at once, with the same archive, are in each other's way."""
    bastion = account()
    found, run, _ = opened(bastion, heavy(ballast))
    parts = bastion.tmp / f"workspace.parts-{run.archive.digest}"
    send = run.run_command.run
    purposes = []

    def send_and_lose(script, purpose):
        result = send(script, purpose)
        purposes.append(purpose)
        if purpose.startswith("transfer") and purposes.count(purpose) == 1:
            shutil.rmtree(parts)
        return result

    monkeypatch.setattr(run.run_command, "run", send_and_lose)
    result, told = run.run_user_command("ls sql", found.connection)
    assert (result.exit_status, told.exit_code) == (0, 0)
    assert "ballast" in told.stdout.split()
    assert (purposes.count("transfer part 1 of 7"), purposes.count("bastion command")) == (2, 1)
    assert bastion.left() == ["workspace"]


def test_workspace_that_was_moved_aside_goes_after_a_day(account):
    """What killed runs left goes by their mark, or where it is empty; a person's own is kept, whatever it is called."""
    bastion = account()
    old = time.time() - DAY - 60
    kept = {
        "workspace.old-abcdef": False,
        "workspace.old-fedcba": False,
        "workspace.old-person": True,
        "workspace.old-young": True,
        "workspace.new-person": True,
        "workspace.new-design": True,
        "etl-manager-run-book": True,
        "workspace.parts-list": True,
        "etl-manager-run-0123456789ab": False,
    }
    for name in kept:
        (bastion.tmp / name).mkdir()
    for name in ("workspace.new-person", "workspace.new-design", "etl-manager-run-book", "workspace.parts-list"):
        (bastion.tmp / name / "mine.txt").write_text("mine")
    (bastion.tmp / "etl-manager-run-0123456789ab/.etl-manager").touch()
    (bastion.tmp / "etl-manager-run-0123456789ab/key.pem").write_text("a key")
    (bastion.tmp / "workspace.old-abcdef/.transfer").mkdir()
    (bastion.tmp / "workspace.old-abcdef/.transfer/digest").write_text("made by a run")
    (bastion.tmp / "workspace.old-person/mine.sql").write_text("mine")
    for name in kept:
        if name != "workspace.old-young":
            os.utime(bastion.tmp / name, (old, old))
    _, run, _ = opened(bastion, project())
    run.open()
    run.close()
    assert {name: (bastion.tmp / name).exists() for name in kept} == kept


def test_many_parts_are_remarked_on(in_parts):
    """Where a bucket would be worth its while, that is said."""
    _, told = in_parts
    assert any("bastion.autoTransfer.bucket" in line for line in told.said)


def test_least_that_may_be_configured_takes_every_command(account):
    """`maxCommandBytes` bounds the archive's parts: every command that carries none of it must be shorter by itself."""
    made, config = account(), project(max_command_bytes=12_000)
    assert full_run(made, config).proven
    sizes = {command["Comment"]: len("\n".join(command["Parameters"]["commands"])) for command in made.commands()}
    assert len(sizes) > 3
    assert max(sizes.values()) <= 12_000, sizes


def bucket(account: Account) -> str:
    """Return the name of the account's bucket; all accounts of AWS share one space of names."""
    return f"depot-{account.aws.account}"


@pytest.fixture
def depot(account):
    """Return a function that opens accounts with a bucket."""

    def open_(*faults: str) -> Account:
        made = account(*faults)
        made.client("s3").create_bucket(Bucket=bucket(made))
        return made

    return open_


def objects(account: Account) -> int:
    """Return how many objects the bucket holds, once no fault meets who asks."""
    account.aws.set_faults([])
    return account.client("s3").list_objects_v2(Bucket=bucket(account))["KeyCount"]


def test_bucket_takes_a_big_archive_in_one_command(depot, ballast):
    """It is put, fetched with curl, checked, unpacked and deleted, in the command that needs it."""
    bastion = depot()
    config = heavy(ballast, bucket=bucket(bastion))
    transfer(bastion, config)
    assert comments(bastion) == ["etl-manager open", "etl-manager look"]
    assert holds_the_archive(bastion, config)
    assert bastion.left() == ["workspace"]
    assert objects(bastion) == 0
    assert {"s3:PutObject", "s3:DeleteObject"} <= bastion.calls


def test_presigned_url_can_be_read_nowhere(depot, ballast):
    """Whoever reads it has the archive: it is in no command, no script on the bastion's disk, and no argument."""
    bastion = depot()
    config = heavy(ballast, bucket=bucket(bastion))
    seen = bastion.host.root / "usr/bin/curl"
    seen.write_text(f'#!/bin/bash\nprintf "%s " "$@" >>{bastion.tmp}/arguments\nexec {shutil.which("curl")} "$@"\n')
    seen.chmod(0o755)
    transfer(bastion, config)
    for text in [
        *("\n".join(command["Parameters"]["commands"]) for command in bastion.commands()),
        *(path.read_text() for path in bastion.host.root.rglob("_script.sh")),
        (bastion.tmp / "arguments").read_text(),
    ]:
        assert text
        assert "X-Amz-Signature" not in text
        assert bucket(bastion) not in text


@pytest.mark.parametrize("region", ["eu-central-1", "ap-northeast-1"])
def test_presigned_url_is_of_the_regions_own_endpoint(region, monkeypatch):
    """The endpoint of all regions redirects, and no gateway endpoint of a VPC leads to it."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    client = AwsTarget(TargetOptions(region=region)).client("s3")
    url = client.generate_presigned_url("get_object", Params={"Bucket": "a-bucket", "Key": "k"}, ExpiresIn=URL_SECONDS)
    assert url.startswith(f"https://a-bucket.s3.{region}.amazonaws.com/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&")
    assert f"X-Amz-Expires={URL_SECONDS}&" in url
    assert URL_SECONDS <= 15 * 60


def test_small_archive_needs_no_bucket(depot, tmp_path, monkeypatch):
    """What fits goes with the command."""
    bastion = depot()
    monkeypatch.setattr("etl_manager.project.PACKAGED", tmp_path)  # else the package's own SQL is in the archive
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    for file in (*NOTHING, *(f"sql/aurora/{phase}/nothing.sql" for phase in BUILT_IN)):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text("SELECT 1;\n")
    transfer(bastion, project(root=tmp_path, bucket=bucket(bastion)))
    assert "s3:PutObject" not in bastion.calls - {"s3:CreateBucket"}


@pytest.mark.parametrize(
    ("fault", "error", "told"),
    [
        ("expired-credentials=2:PutObject", DiscoveryError, "S3 refused: ExpiredToken"),
        ("throttle=1:GetObject", WorkspaceError, "could not fetch the archive from the bucket"),
        ("execution-timeout=0.05@2", CommandError, "it may have run in part"),
    ],
)
def test_failed_transfer_by_bucket_leaves_no_object(depot, ballast, fault, error, told):
    """Whatever goes wrong, the error says what, and the object is deleted where AWS lets us."""
    bastion = depot(fault)
    config = heavy(ballast, bucket=bucket(bastion))
    with pytest.raises(error, match=told):
        transfer(bastion, config)
    if "expired" not in fault:
        assert objects(bastion) == 0
    assert "workspace" not in bastion.left()


def test_interrupt_deletes_the_object(depot, ballast):
    """Ctrl-C while the bastion fetches the archive."""
    bastion = depot()
    config = heavy(ballast, bucket=bucket(bastion))
    found, run, _ = opened(bastion, config)
    run.open()

    def interrupted(line: str) -> None:
        if "sending" not in line:
            raise KeyboardInterrupt

    run.run_command.on_status = interrupted
    with pytest.raises(KeyboardInterrupt):
        run.run_sql(NOTHING, found.connection, "look", closing=True)
    assert objects(bastion) == 0


def test_bucket_that_is_not_there_is_told(account, ballast):
    """The error names it."""
    bastion = account()
    with pytest.raises(DiscoveryError, match="NoSuchBucket"):
        transfer(bastion, heavy(ballast, bucket="no-such-bucket-anywhere"))


def test_bastion_without_curl_is_told(depot, ballast):
    """Before anything is put into the bucket."""
    bastion = depot()
    config = heavy(ballast, bucket=bucket(bastion))
    found, run, _ = opened(bastion, config)
    run._state = dataclasses.replace(run.open(), curl="")
    with pytest.raises(WorkspaceError, match="lacks curl"):
        run.run_sql(NOTHING, found.connection, "look")
    assert "s3:PutObject" not in bastion.calls
    run.close()
