"""What pg_dump printed becomes a change: names lose the schema, and nothing else does."""

from __future__ import annotations

import pytest

from etl_manager.sql_files.dump import change_of

HEAD = r"""
--
-- PostgreSQL database dump; shop.orders
--

\restrict VDOaoq2eoWGG9

SET statement_timeout = 0;
SET default_tablespace = '';
SELECT pg_catalog.set_config('search_path', '', false);
CREATE SCHEMA shop;
ALTER SCHEMA shop OWNER TO boss;
COMMENT ON SCHEMA shop IS 'x;y';
"""


def cleaned(statement: str, schema: str = "shop") -> str:
    """Return what becomes of *statement*, amid what every dump has."""
    return change_of(f"{HEAD}{statement}\n\n\\unrestrict VDOaoq2eoWGG9\n", schema).text.rstrip("\n")


@pytest.mark.parametrize(
    "statement",
    [
        "",
        "ALTER TABLE shop.orders OWNER TO boss;",
        'ALTER FUNCTION shop.touch(integer, text) OWNER TO "The Boss";',
        "SET default_table_access_method = heap;",
    ],
)
def test_what_is_not_the_tenants_own_goes(statement):
    """Settings, comments, the schema, owners and psql's commands leave nothing."""
    assert cleaned(statement) == ""


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("CREATE TABLE shop.orders (s shop.status, c other.colour);", "CREATE TABLE orders (s status, c other.colour);"),
        ('CREATE TABLE "shop"."It""s" (i integer);', 'CREATE TABLE "It""s" (i integer);'),
        ("CREATE TABLE other.shop (i integer);", "CREATE TABLE other.shop (i integer);"),
        ("ALTER SEQUENCE other.q OWNED BY other.shop.id;", "ALTER SEQUENCE other.q OWNED BY other.shop.id;"),
        ("ALTER SEQUENCE shop.q OWNED BY shop.t.id;", "ALTER SEQUENCE q OWNED BY t.id;"),
        ("CREATE TABLE shop.t (a text DEFAULT 'shop.a'::text);", "CREATE TABLE t (a text DEFAULT 'shop.a'::text);"),
        ("COMMENT ON TABLE shop.t IS 'in shop.t';", "COMMENT ON TABLE t IS 'in shop.t';"),
        ("GRANT SELECT ON TABLE shop.t TO PUBLIC;", "GRANT SELECT ON TABLE t TO PUBLIC;"),
        (
            "ALTER TABLE ONLY shop.t ALTER COLUMN i SET DEFAULT nextval('shop.q'::regclass);",
            "ALTER TABLE ONLY t ALTER COLUMN i SET DEFAULT nextval('q'::regclass);",
        ),
        (
            "ALTER TABLE ONLY shop.t ALTER COLUMN i SET DEFAULT nextval('shop.\"it''s\"'::regclass);",
            "ALTER TABLE ONLY t ALTER COLUMN i SET DEFAULT nextval('\"it''s\"'::regclass);",
        ),
        (
            "ALTER TABLE shop.t ALTER c SET DEFAULT E'shop.\"a\\\\b\"'::regclass;",
            "ALTER TABLE t ALTER c SET DEFAULT E'\"a\\\\b\"'::regclass;",
        ),
        ("ALTER TABLE shop.t ALTER c SET DEFAULT 'other.q'::regclass;", "ALTER TABLE t ALTER c SET DEFAULT 'other.q'::regclass;"),
        ("ALTER TABLE shop.t ALTER c SET DEFAULT 'shop.s'::regtype;", "ALTER TABLE t ALTER c SET DEFAULT 's'::regtype;"),
        (
            "GRANT USAGE ON SCHEMA shop TO \"50%\";",
            "DO $change$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO \"50%%\"', current_schema()); END $change$;",
        ),
        (
            "ALTER DEFAULT PRIVILEGES FOR ROLE \"o'b\" IN SCHEMA shop GRANT SELECT ON TABLES TO PUBLIC;",
            "DO $change$ BEGIN EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE \"o''b\" IN SCHEMA %I GRANT SELECT ON TABLES TO PUBLIC', current_schema()); END $change$;",
        ),
    ],
)  # fmt: skip
def test_names_lose_the_schema(statement, expected):
    """In names and in texts that are names; not in other texts, and not those of other schemas."""
    assert cleaned(statement) == expected


def test_schema_whose_name_is_quoted():
    """Capitals and signs count: another spelling is another schema."""
    dump = 'CREATE TABLE "Sh ""op".t (s "Sh ""op".status, o sh.status, r regclass DEFAULT \'"Sh ""op".t\'::regclass);'
    assert cleaned(dump, 'Sh "op') == "CREATE TABLE t (s status, o sh.status, r regclass DEFAULT 't'::regclass);"


def test_functions_come_whole():
    """Bodies keep their semicolons and their words; a body that is parsed when it is made loses the schema."""
    atomic = "CREATE FUNCTION shop.n() RETURNS bigint\n    LANGUAGE sql\n    BEGIN ATOMIC\n SELECT count(*) FROM shop.t;\nEND;"
    text = "CREATE FUNCTION shop.f() RETURNS trigger\n    LANGUAGE plpgsql\n    AS $$ BEGIN x := '-- SET a; '; END $$;"
    assert cleaned(f"{atomic}\n{text}") == (
        f"SET LOCAL check_function_bodies = false;\n\n{atomic.replace('shop.', '')}\n\n{text.replace('shop.', '')}"
    )


@pytest.mark.parametrize(
    ("statement", "doubt"),
    [
        ("CREATE FUNCTION shop.f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN DELETE FROM shop.t; END $$;", "function's text"),
        ("CREATE OR REPLACE PROCEDURE shop.f() LANGUAGE sql SET search_path TO 'shop' AS 'SELECT';", "function's text"),
        ("CREATE VIEW shop.v AS SELECT shop.id FROM shop.orders shop;", "alias"),
        ("CREATE MATERIALIZED VIEW shop.v AS SELECT o.shop FROM shop.orders o;", ""),
        ("CREATE VIEW shop.v AS SELECT o.id FROM shop.orders o;", ""),
        ("CREATE TABLE shop.t (shop integer);", ""),
    ],
)  # fmt: skip
def test_what_a_person_has_to_look_at_is_said(statement, doubt):
    """With its line in the change."""
    change = change_of(f"{HEAD}CREATE TABLE shop.a (\n    i integer\n);\n{statement}", "shop")
    assert [why for _, why in change.doubts if doubt in why] == [why for _, why in change.doubts]
    assert len(change.doubts) == bool(doubt)
    for line, _ in change.doubts:
        assert change.text.splitlines()[line - 1].startswith("CREATE")
        assert not change.text.splitlines()[line - 1].startswith("CREATE TABLE")
