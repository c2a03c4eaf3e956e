"""Why psql stopped is read from what it printed, whatever language the server speaks."""

from __future__ import annotations

import pytest

from etl_manager.provisioning.sql_runner import cause

MESSAGES = {
    "German": (
        "psql:a/b.sql:3: FEHLER:  Relation »x« existiert nicht\nLINE 1: SELECT * FROM x\n                      ^\n",
        ("a/b.sql:3", "Relation »x« existiert nicht", "", False),
    ),
    "French, with its blank before the colon": (
        "psql:a/b.sql:12: ERREUR :  la valeur d'une clé dupliquée\nDÉTAIL :  La clé « (id)=(1) » existe déjà.\n",
        ("a/b.sql:12", "la valeur d'une clé dupliquée", "La clé « (id)=(1) » existe déjà.", False),
    ),
    "Japanese, after one that was tolerated and a notice": (
        "psql:a.sql:1: エラー:  存在しません\npsql:a.sql:2: NOTICE:  注意\npsql:a.sql:9: 致命的エラー:  接続を終了します\nヒント:  管理者に\n",
        ("a.sql:9", "接続を終了します", "管理者に", False),
    ),
    "psql itself": ("psql:a.sql:1: error: invalid command \\frobnicate\n", ("a.sql:1", "invalid command \\frobnicate", "", True)),
    "no file": (
        '[INFO] phase\npsql: error: connection to server at "x" failed: 致命的エラー:  だめ\n[ERROR] no connection\n',
        ("", 'connection to server at "x" failed: 致命的エラー:  だめ', "", False),
    ),
    "the engine": ("[INFO] phase\n[ERROR] psql is not installed\n", ("", "psql is not installed", "", False)),
    "nothing": ("", ("", "no message", "", False)),
}  # fmt: skip


@pytest.mark.parametrize("language", MESSAGES)
def test_cause_is_read(language):
    """Place, message, detail, and whether psql itself says it."""
    stderr, expected = MESSAGES[language]
    assert cause(stderr) == expected
