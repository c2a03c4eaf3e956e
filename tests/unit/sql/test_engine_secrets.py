"""The password: sealed on its way, in nobody's sight, and gone when it is no longer needed."""

from __future__ import annotations

import base64
import contextlib
import os
import secrets
import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, padding, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from psycopg import sql

PASSWORDS = [
    ":colon::and\\back\\\\slash\\",
    "\\:",
    'it\'s "quoted" $HOME $(id) `id` ${x} &amp& %s %n !1',
    " leading and trailing\t",
    "*",
    "#comment",
    "-x",
    "Pässwörd 漢字 😀",
    "x" * 1500,
]


WHO = "sql/aurora/data/who.sql"
"""A file that tells who is connected."""


@pytest.fixture(scope="session")
def key(tmp_path_factory):
    """A private key as the bastion makes it."""
    file = tmp_path_factory.mktemp("key") / "key.pem"
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", file],
        check=True, capture_output=True,
    )  # fmt: skip
    return file


def seal(key, line):
    """Return the sealed handover of one pgpass line, as the suite makes it."""
    public = serialization.load_pem_private_key(key.read_bytes(), None).public_key()
    own = ec.generate_private_key(ec.SECP256R1())
    passphrase, salt = base64.b64encode(own.exchange(ec.ECDH(), public)), secrets.token_bytes(8)
    material = PBKDF2HMAC(hashes.SHA256(), 48, salt, 10_000).derive(passphrase)
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(material[:32]), modes.CBC(material[32:])).encryptor()
    body = encryptor.update(padder.update(line.encode()) + padder.finalize()) + encryptor.finalize()
    return {
        "AURORA_PASSWORD": None,
        "AURORA_HANDOVER_KEY": str(key),
        "AURORA_SEALED_KEY": base64.b64encode(
            own.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        ).decode(),
        "AURORA_SEALED": base64.b64encode(b"Salted__" + salt + body).decode(),
    }


def pgpass(user, password):
    """Return the pgpass line of a user."""
    return "*:*:*:" + ":".join(part.replace("\\", "\\\\").replace(":", "\\:") for part in (user, password)) + "\n"


@pytest.fixture
def sealed(server, key):
    """The sealed handover of the server's own password."""
    return seal(key, pgpass(server.user, server.password))


@pytest.fixture
def silent_server():
    """The address of a server that takes a connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)
        yield listener


def processes(group):
    """Return the /proc folders of a process group's members; one that has ended and waits to be reaped is none."""
    members = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            state, _, its_group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if its_group == str(group) and state != "Z":
                members.append(folder)
    return members


def files(folder):
    """Return all that is not a folder under *folder*."""
    return [path for path in folder.rglob("*") if not path.is_dir()]


@pytest.mark.parametrize("way", ["sealed", "by hand"])
def test_awkward_passwords(built, key, way):
    """Any password without a line break arrives as it is, sealed or by hand."""
    (built.workspace / WHO).write_text("\\pset tuples_only on\n\\pset format unaligned\nSELECT current_user;\n")
    built.break_things("CREATE ROLE awk LOGIN", database="postgres")
    try:
        for password in PASSWORDS:
            with built.connect() as connection:
                connection.execute(sql.SQL("ALTER ROLE awk PASSWORD {}").format(sql.Literal(password)))
            handover = seal(key, pgpass("awk", password)) if way == "sealed" else {"AURORA_PASSWORD": password}
            done = built.engine(WHO, AURORA_USER="awk", **handover)
            assert (done.returncode, done.stdout) == (0, "awk\n"), (password, done.stderr)
            assert password not in done.stdout + done.stderr
    finally:
        built.drop_role("awk")


def test_user_with_awkward_name(built, key):
    """A user's name may hold what a pgpass file must escape."""
    (built.workspace / WHO).write_text("SELECT current_user;\n")
    built.break_things("CREATE ROLE \"a:b\\c\" LOGIN PASSWORD 'p'", database="postgres")
    try:
        for handover in (seal(key, pgpass("a:b\\c", "p")), {"AURORA_PASSWORD": "p"}):
            assert "a:b\\c" in built.succeed(WHO, AURORA_USER="a:b\\c", **handover)
    finally:
        built.drop_role("a:b\\c")


def test_sealed_build(bastion, sealed, path_with):
    """With a sealed handover, bash, coreutils, openssl, psql and one JSON reader, everything is built and proven."""
    path = path_with("base64", "bash", "cat", "mktemp", "openssl", "psql", "rm", "sleep", "python3")
    bastion.build(PATH=path, **sealed)
    assert bastion.findings(PATH=path, **sealed) == []
    assert bastion.tenant_rows(PATH=path, **sealed)["tenant_a"] == {"users": 5}
    assert files(bastion.runtime) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"AURORA_SEALED_KEY": None}, "AURORA_SEALED needs AURORA_HANDOVER_KEY and AURORA_SEALED_KEY too"),
        ({"AURORA_HANDOVER_KEY": None}, "AURORA_SEALED needs AURORA_HANDOVER_KEY and AURORA_SEALED_KEY too"),
        (
            {"AURORA_HANDOVER_KEY": "/gone/key.pem"},
            "the handover key /gone/key.pem is not there: it goes away with its run",
        ),
        ({"AURORA_SEALED_KEY": "bm90IHNlYWxlZA=="}, "the sealed handover cannot be opened with "),
        ({"AURORA_SEALED_KEY": "!"}, "the sealed handover cannot be opened with "),
        ({"AURORA_SEALED": "bm90IHNlYWxlZA=="}, "the sealed handover cannot be opened with "),
        ({"AURORA_SEALED": "!"}, "the sealed handover cannot be opened with "),
    ],
)
def test_handover_that_cannot_be_opened(bastion, sealed, change, message):
    """Exit 64 where the handover is incomplete, damaged, or its key is gone; nothing of it stays behind."""
    done = bastion.engine(bastion.DATABASE, **(sealed | change))
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr.startswith(f"[ERROR] {message}")
    assert done.stderr.count("\n") == 1
    assert list(bastion.runtime.iterdir()) == []


def test_handover_that_is_no_pgpass_line(bastion, key):
    """Exit 64 where what was sealed is not a pgpass line: it is not shown."""
    done = bastion.engine(bastion.DATABASE, **seal(key, "the password itself\n"))
    assert done.returncode == 64
    assert "the password itself" not in done.stdout + done.stderr


def test_handover_to_another_key(bastion, sealed, tmp_path):
    """Exit 64 where the key is of another run."""
    other = tmp_path / "other.pem"
    subprocess.run(
        ["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", other],
        check=True, capture_output=True,
    )  # fmt: skip
    done = bastion.engine(bastion.DATABASE, **(sealed | {"AURORA_HANDOVER_KEY": str(other)}))
    assert done.returncode == 64
    assert "sealed to another key, or damaged" in done.stderr


def test_old_openssl_is_named(bastion, sealed, path_with):
    """Exit 64 on Amazon Linux 2's openssl 1.0.2, which lacks -pbkdf2, says what to install."""
    old = '#!/bin/sh\n[ "$1" = version ] && echo "OpenSSL 1.0.2k-fips  26 Jan 2017" && exit\necho "unknown option" >&2; exit 1\n'
    path = path_with("base64", "bash", "cat", "jq", "mktemp", "psql", "rm", openssl=old)
    done = bastion.engine(bastion.DATABASE, PATH=path, **sealed)
    assert done.returncode == 64
    assert done.stderr.startswith(
        "[ERROR] OpenSSL 1.0.2k-fips  26 Jan 2017 cannot open the sealed handover (no -pbkdf2): install "
    )


def test_missing_openssl_is_named(bastion, sealed, path_with):
    """Exit 64 where there is no openssl."""
    done = bastion.engine(bastion.DATABASE, PATH=path_with("bash", "jq", "mktemp", "psql", "rm"), **sealed)
    assert done.returncode == 64
    assert done.stderr == "[ERROR] openssl is not installed; it opens the sealed handover\n"


def test_secret_is_in_no_process(built, sealed):
    """While psql works, the password is in no argument, no environment and no file, and no output shows it."""
    with built.connect() as gate:
        gate.execute("SELECT pg_advisory_lock(hashtext('etl-manager'))")
        engine = built.start_engine(built.SCHEMA, **sealed)
        built.waiting()
        members = processes(engine.pid)
        assert {(member / "comm").read_text().strip() for member in members} >= {"psql"}
        needles = [built.server.password.encode(), pgpass("", built.server.password)[7:-1].encode()]
        for member in members:
            for name in ("cmdline", "environ"):
                content = (member / name).read_bytes()
                assert content
                assert not any(needle in content for needle in needles), (member, name)
        assert files(built.runtime) == []
    stdout, stderr = engine.communicate(timeout=30)
    assert engine.returncode == 0
    assert built.server.password not in stdout + stderr


def handed_over(built, line, file, number="3"):
    """Return the words that run the engine with *line* in the open file 3, as a command of several files does."""
    script = f'line=$LINE; unset LINE; exec 3< <(printf "%s\\n" "$line"); exec bash scripts/2-sql-execute.sh config.json {file}'
    return ["bash", "-c", script], {"AURORA_PASSWORD": None, "LINE": line, "AURORA_PGPASS_FD": number}


def test_handover_by_an_open_file(built):
    """Whoever has opened the handover gives the line by a pipe: psql does not inherit it, and nothing stays behind."""
    (built.workspace / "sql/aurora/data/open.sql").write_text("\\! ls -l /proc/$PPID/fd\n")
    line = pgpass(built.server.user, built.server.password).rstrip("\n")
    words, changes = handed_over(built, line, "sql/aurora/data/open.sql")
    done = built.run(*words, **changes)
    assert done.returncode == 0, done.stderr
    assert {line.split()[-3] for line in done.stdout.splitlines() if "-> pipe" in line} == {"1", "2"}
    assert built.server.password not in done.stdout + done.stderr
    assert files(built.runtime) == []


@pytest.mark.parametrize(
    ("line", "number", "message"),
    [
        ("the password itself", "3", "there is no pgpass line in the open file 3"),
        ("*:*:*:a:b", "7", "there is no pgpass line in the open file 7"),
        ("*:*:*:a:b", "three", 'AURORA_PGPASS_FD is not the number of an open file: "three"'),
    ],
)
def test_open_file_without_a_line(built, line, number, message):
    """Exit 64, and what was in it is not shown."""
    words, changes = handed_over(built, line, built.VERIFICATION, number)
    done = built.run(*words, **changes)
    assert (done.returncode, done.stderr) == (64, f"[ERROR] {message}\n")
    assert list(built.runtime.iterdir()) == []


def test_secret_is_for_its_owner_only(built, sealed, silent_server):
    """Until psql is let in, the password lies in one file, in a folder of its own; both are their owner's alone."""
    engine = built.start_engine(built.SCHEMA, AURORA_PORT=str(silent_server.getsockname()[1]), **sealed)
    connection, _ = silent_server.accept()
    with connection:  # Closed, it would end psql and the engine.
        (folder,) = built.runtime.iterdir()
        assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())} == {0o700, 0o600}
        line = pgpass(built.server.user, built.server.password)
        assert [path.name for path in folder.iterdir() if line in path.read_text()] == ["pgpass"]
        members = processes(engine.pid)
        assert {(member / "comm").read_text().strip() for member in members} >= {"psql"}
        for member in members:
            assert built.server.password.encode() not in (member / "cmdline").read_bytes()


def test_psql_knows_no_secret(built, sealed):
    """What psql gets to see of the environment holds neither password nor handover."""
    (built.workspace / "sql/aurora/data/env.sql").write_text("\\! env\n")
    for handover in (sealed, {}):
        names = {line.partition("=")[0] for line in built.succeed("sql/aurora/data/env.sql", **handover).splitlines()}
        assert {"PGHOST", "PGPORT", "PGUSER", "PGPASSFILE", "PGAPPNAME", "PGCONNECT_TIMEOUT"} <= names
        assert names.isdisjoint(
            {"AURORA_PASSWORD", "AURORA_SEALED", "AURORA_SEALED_KEY", "AURORA_HANDOVER_KEY", "PGPASSWORD"}
        )


def test_tracing_shows_no_secret(built):
    """Bash -x, too, shows no password."""
    done = built.run("bash", "-x", "scripts/2-sql-execute.sh", "config.json", built.VERIFICATION)
    assert done.returncode == 0
    assert built.server.password not in done.stderr


@pytest.mark.parametrize(
    ("file", "status"),
    [("verification/verify-setup", 0), ("inspection/inspect-database", 0), ("data/broken", 3), ("schema/none", 64)],
)
def test_nothing_stays_behind(built, sealed, file, status):
    """After success, an SQL error and a wrong call the private folder is gone."""
    (built.workspace / "sql/aurora/data/broken.sql").write_text("SELEC;\n")
    assert built.engine(f"sql/aurora/{file}.sql", **sealed).returncode == status
    assert list(built.runtime.iterdir()) == []


def test_nothing_stays_behind_without_connection(built, sealed):
    """After a refused connection the private folder is gone."""
    assert built.engine(built.SCHEMA, AURORA_PORT="1", **sealed).returncode == 2
    assert list(built.runtime.iterdir()) == []


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_nothing_stays_behind_after_a_signal(built, sealed, sign):
    """A signal to the engine ends psql, cancels its statement on the server, and removes the private folder."""
    with built.connect() as gate:
        gate.execute("SELECT pg_advisory_lock(hashtext('etl-manager'))")
        engine = built.start_engine(built.SCHEMA, **sealed)
        built.waiting()
        engine.send_signal(sign)
        _, stderr = engine.communicate(timeout=30)
        assert engine.returncode == 128 + sign
        assert f"[ERROR] interrupted by {sign.name}\n" in stderr
        assert "canceling statement due to user request" in stderr
    assert list(built.runtime.iterdir()) == []
    assert processes(engine.pid) == []


def test_nothing_stays_behind_when_interrupted_while_connecting(built, sealed, silent_server):
    """A signal while the server does not answer ends everything, and removes the password."""
    engine = built.start_engine(built.SCHEMA, AURORA_PORT=str(silent_server.getsockname()[1]), **sealed)
    connection, _ = silent_server.accept()
    with connection:
        engine.send_signal(signal.SIGTERM)
        engine.communicate(timeout=30)
    assert engine.returncode == 143
    assert list(built.runtime.iterdir()) == []
    assert processes(engine.pid) == []


def test_killed_engine_leaves_no_secret(built, sealed):
    """SSM's time limit kills the whole group without a word: the password is off the disk by then."""
    with built.connect() as gate:
        gate.execute("SELECT pg_advisory_lock(hashtext('etl-manager'))")
        engine = built.start_engine(built.SCHEMA, **sealed)
        built.waiting()
        os.killpg(engine.pid, signal.SIGKILL)
        engine.communicate(timeout=30)
    assert files(built.runtime) == []


def test_runtime_folder_is_a_setting(built, sealed, tmp_path):
    """AURORA_RUNTIME_DIR says where the private folder is made."""
    other = tmp_path / "other"
    other.mkdir()
    (built.workspace / "sql/aurora/data/where.sql").write_text('\\! echo "$PGPASSFILE"\n')
    assert built.succeed("sql/aurora/data/where.sql", AURORA_RUNTIME_DIR=str(other), **sealed).startswith(
        f"{other}/2-sql-execute."
    )
    assert list(other.iterdir()) == []
