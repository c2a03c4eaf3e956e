"""Alterations of what the isolation phase sets up; tests/unit/sql/test_sql_isolation.py applies them."""

from __future__ import annotations

DEFECTS: dict[str, tuple[str, str, list[tuple[str, str, str, str]]]] = {
    "role may read its neighbour": (
        "GRANT USAGE ON SCHEMA globex TO acme_role; GRANT SELECT ON globex.orders TO acme_role",
        "REVOKE USAGE ON SCHEMA globex FROM acme_role; REVOKE SELECT ON globex.orders FROM acme_role",
        [("acme", "what role acme_role holds outside of its schema", "nothing", "privileges on schema globex, privileges on table globex.orders"),
         ("acme", "SELECT on globex.orders as role acme_role", "refused", "allowed"),
         ("globex", "grant USAGE on schema to acme_role", "absent", "granted"),
         ("globex", "grant SELECT on table orders to acme_role", "absent", "granted")],
    ),
    "role may write one that is not tried": (
        "GRANT INSERT ON initech.users TO acme_role", "REVOKE INSERT ON initech.users FROM acme_role",
        [("acme", "what role acme_role holds outside of its schema", "nothing", "privileges on table initech.users"),
         ("initech", "grant INSERT on table users to acme_role", "absent", "granted")],
    ),
    "role member of master": (
        "GRANT rds_superuser TO acme_role", "REVOKE rds_superuser FROM acme_role",
        [("acme", "memberships of role acme_role", "none", "rds_superuser")],
    ),
    "role member of its neighbour's": (
        "GRANT initech_role TO globex_role", "REVOKE initech_role FROM globex_role",
        [("globex", "memberships of role globex_role", "none", "initech_role"),
         *(("globex", f"{verb} on initech.users as role globex_role", "refused", "allowed") for verb in ("SELECT", "INSERT", "UPDATE", "DELETE"))],
    ),
    "PUBLIC may read": (
        "GRANT SELECT ON acme.users TO PUBLIC", "REVOKE SELECT ON acme.users FROM PUBLIC",
        [("acme", "grant SELECT on table users to PUBLIC", "absent", "granted")],
    ),
    "PUBLIC may use the schema": (
        "GRANT USAGE ON SCHEMA acme TO PUBLIC", "REVOKE USAGE ON SCHEMA acme FROM PUBLIC",
        [("acme", "grant USAGE on schema to PUBLIC", "absent", "granted")],
    ),
    "PUBLIC may execute": (
        "GRANT EXECUTE ON FUNCTION acme.total() TO PUBLIC", "REVOKE EXECUTE ON FUNCTION acme.total() FROM PUBLIC",
        [("acme", "grant EXECUTE on function total() to PUBLIC", "absent", "granted")],
    ),
    "PUBLIC may read elsewhere": (
        "CREATE VIEW public.every AS TABLE acme.users; GRANT SELECT ON public.every TO PUBLIC", "DROP VIEW public.every",
        [("", "grant SELECT on TABLE public.every to PUBLIC", "absent", "granted")],
    ),
    "default privilege missing": (
        "ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA acme REVOKE DELETE ON TABLES FROM acme_role", "",
        [("acme", "privileges of acme_role on tables to come", "DELETE, INSERT, SELECT, UPDATE", "INSERT, SELECT, UPDATE")],
    ),
    "default privilege too much": (
        "ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA acme GRANT SELECT ON TABLES TO globex_role",
        "ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA acme REVOKE SELECT ON TABLES FROM globex_role",
        [("acme", "default privileges of postgres on tables", "none", "SELECT to globex_role"),
         ("globex", "what role globex_role holds outside of its schema", "nothing",
          "privileges on default privileges on new relations belonging to role postgres in schema acme")],
    ),
    "own table not readable": (
        "REVOKE SELECT ON acme.users FROM acme_role", "",
        [("acme", "privileges of acme_role on table users", "DELETE, INSERT, SELECT, UPDATE", "DELETE, INSERT, UPDATE")],
    ),
    "role may empty its table": (
        "GRANT TRUNCATE ON acme.users TO acme_role", "REVOKE TRUNCATE ON acme.users FROM acme_role",
        [("acme", "grant TRUNCATE on table users to acme_role", "absent", "granted")],
    ),
    "role that passes policies by": (
        "ALTER ROLE initech_role BYPASSRLS", "ALTER ROLE initech_role NOBYPASSRLS",
        [("initech", "attributes of role initech_role", "none", "BYPASSRLS"),
         ("initech", "row-level security for role initech_role", "in force", "not in force in initech.notes")],
    ),
    "role that may log in": (
        "ALTER ROLE acme_role LOGIN CREATEDB", "ALTER ROLE acme_role NOLOGIN NOCREATEDB",
        [("acme", "attributes of role acme_role", "none", "CREATEDB, LOGIN")],
    ),
    "row-level security disabled": (
        "ALTER TABLE acme.notes DISABLE ROW LEVEL SECURITY", "ALTER TABLE acme.notes ENABLE ROW LEVEL SECURITY",
        [("acme", "row-level security of notes", "enabled", "disabled")],
    ),
    "role may read everything": (
        "GRANT pg_read_all_data TO acme_role", "REVOKE pg_read_all_data FROM acme_role",
        [("acme", "memberships of role acme_role", "none", "pg_read_all_data"),
         ("acme", "SELECT on globex.orders as role acme_role", "refused", "allowed")],
    ),
    "role may read a column of its neighbour's": (
        "GRANT SELECT (email) ON globex.users TO acme_role", "REVOKE SELECT (email) ON globex.users FROM acme_role",
        [("acme", "what role acme_role holds outside of its schema", "nothing", "privileges on column email of table globex.users"),
         ("globex", "grant SELECT (email) on table users to acme_role", "absent", "granted")],
    ),
    "role may refer to its neighbour's": (
        "GRANT REFERENCES ON globex.users TO acme_role", "REVOKE REFERENCES ON globex.users FROM acme_role",
        [("acme", "what role acme_role holds outside of its schema", "nothing", "privileges on table globex.users"),
         ("globex", "grant REFERENCES on table users to acme_role", "absent", "granted")],
    ),
    "role may use its neighbour's sequence": (
        "GRANT USAGE ON SEQUENCE globex.notes_note_id_seq TO acme_role", "REVOKE USAGE ON SEQUENCE globex.notes_note_id_seq FROM acme_role",
        [("acme", "what role acme_role holds outside of its schema", "nothing", "privileges on sequence globex.notes_note_id_seq"),
         ("globex", "grant USAGE on sequence notes_note_id_seq to acme_role", "absent", "granted")],
    ),
    "role may execute its neighbour's function": (
        "GRANT EXECUTE ON FUNCTION globex.total() TO acme_role", "REVOKE EXECUTE ON FUNCTION globex.total() FROM acme_role",
        [("acme", "what role acme_role holds outside of its schema", "nothing", "privileges on function globex.total()"),
         ("globex", "grant EXECUTE on function total() to acme_role", "absent", "granted")],
    ),
    "function elsewhere that reads as its owner": (
        "CREATE FUNCTION public.peek() RETURNS SETOF globex.users LANGUAGE sql SECURITY DEFINER AS 'TABLE globex.users'; GRANT EXECUTE ON FUNCTION public.peek() TO acme_role",
        "DROP FUNCTION public.peek()",
        [("acme", "what role acme_role holds outside of its schema", "nothing", "privileges on function public.peek()"),
         ("", "grant EXECUTE on ROUTINE public.peek() to PUBLIC", "absent", "granted")],
    ),
    "role owner of its neighbour's table": (
        "ALTER TABLE globex.users OWNER TO acme_role", "ALTER TABLE globex.users OWNER TO postgres",
        [("acme", "what role acme_role holds outside of its schema", "nothing", "owner of table globex.users"),
         ("globex", "owner of table users", "postgres", "acme_role"),
         ("globex", "table users", "readable", "not readable by postgres")],
    ),
    "role that its neighbour is a member of": (
        "GRANT acme_role TO globex_role", "REVOKE acme_role FROM globex_role",
        [("globex", "memberships of role globex_role", "none", "acme_role")],
    ),
    "role a superuser": (
        "ALTER ROLE acme_role SUPERUSER", "ALTER ROLE acme_role NOSUPERUSER",
        [("acme", "attributes of role acme_role", "none", "SUPERUSER"),
         *(("acme", f"{verb} on globex.orders as role acme_role", "refused", "allowed") for verb in ("SELECT", "INSERT", "UPDATE", "DELETE")),
         ("acme", "row-level security for role acme_role", "in force", "not in force in acme.notes")],
    ),
    "role may grant what it holds": (
        "GRANT SELECT ON acme.users TO acme_role WITH GRANT OPTION", "REVOKE GRANT OPTION FOR SELECT ON acme.users FROM acme_role",
        [("acme", "grant SELECT on table users to acme_role", "absent", "granted with grant option")],
    ),
    "role may create in its schema": (
        "GRANT CREATE ON SCHEMA acme TO acme_role", "REVOKE CREATE ON SCHEMA acme FROM acme_role",
        [("acme", "grant CREATE on schema to acme_role", "absent", "granted")],
    ),
    "PUBLIC may create elsewhere": (
        "GRANT CREATE ON SCHEMA public TO PUBLIC", "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        [("", "grant CREATE on SCHEMA public to PUBLIC", "absent", "granted")],
    ),
    "PUBLIC may write a column": (
        "GRANT UPDATE (name) ON acme.users TO PUBLIC", "REVOKE UPDATE (name) ON acme.users FROM PUBLIC",
        [("acme", "grant UPDATE (name) on table users to PUBLIC", "absent", "granted")],
    ),
    "policy that lets all pass": (
        "CREATE POLICY more ON acme.notes USING (true)", "DROP POLICY more ON acme.notes",
        [("acme", "policy notes.more", "absent", "as permissive for all to PUBLIC using (true)")],
    ),
}  # fmt: skip
"""What was altered → the statements, those that undo it (none where the phase does), and the findings."""

ACCEPTED = {
    "a role that is given several tenants' roles": "an application that serves several tenants takes on the one's or the other's",
    "settings of a tenant's role, as its search path": "they change where its statements look, not what it may do",
}
