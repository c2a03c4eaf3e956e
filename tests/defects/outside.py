"""Alterations outside the tenants, those that are harmless, and what is accepted on purpose."""

from __future__ import annotations

TENANTS = ("acme", "globex", "initech")
"""They share no prefix: a schema is a stray by what is in it, or by its name."""

TABLES = ("users", "currencies", "orders", "tickets", *(f"part_{number:02}" for number in range(1, 17)))
COPY = "CREATE SCHEMA {0}; " + "; ".join(f"CREATE {{1}} {{0}}.{table} {{2}}" for table in TABLES)
STRAY = "not-configured"
Found = tuple[str | None, str, str]
"""Tenant, or the name of a schema that is not configured; kind and object."""


def _copy(schema: str, thing: str, definition: str) -> str:
    return COPY.format(schema, thing, definition)


def _setting(name: str, value: str) -> tuple[str, list[Found]]:
    return f"ALTER DATABASE DATABASE SET {name} = {value}", [
        (None, "setting-extra", f"setting {name} of database DATABASE")
    ]


def _default(things: str, privilege: str, role: str = "PUBLIC") -> str:
    return f"SET ROLE postgres; ALTER DEFAULT PRIVILEGES GRANT {privilege} ON {things} TO {role}"


OUTSIDE: dict[str, tuple[str, list[Found]]] = {
    # The database
    "database's owner": ("ALTER DATABASE DATABASE OWNER TO rdsadmin", [(None, "database-differs", "owner of database DATABASE")]),
    "database's owner, who lets the master work": (
        "ALTER DATABASE DATABASE OWNER TO rdsadmin; GRANT CREATE ON DATABASE DATABASE TO postgres",
        [(None, "database-differs", "owner of database DATABASE")],
    ),
    "few connections": ("ALTER DATABASE DATABASE CONNECTION LIMIT 7", [(None, "database-differs", "connections of database DATABASE")]),
    "database a template": ("ALTER DATABASE DATABASE IS_TEMPLATE true", [(None, "database-differs", "database DATABASE")]),
    "PUBLIC may create schemas": ("GRANT CREATE ON DATABASE DATABASE TO PUBLIC", [(None, "database-privileges-differs", "grant CREATE on database DATABASE to PUBLIC")]),
    # Settings
    "sessions as of a replica": _setting("session_replication_role", "replica"),
    "row-level security as an error": _setting("row_security", "off"),
    "another search path": _setting("search_path", "acme"),
    "search path of several": _setting("search_path", "acme, globex"),
    "read-only sessions": _setting("default_transaction_read_only", "on"),
    "another tablespace": _setting("default_tablespace", "elsewhere"),
    "another access method": _setting("default_table_access_method", "heap"),
    "functions not checked": _setting("check_function_bodies", "off"),
    "another time zone": _setting("TimeZone", "'Asia/Tokyo'"),
    "NULL equal to NULL": _setting("transform_null_equals", "on"),
    "commits not waited for": _setting("synchronous_commit", "off"),
    "isolation": _setting("default_transaction_isolation", "serializable"),
    "setting of the master here": (
        "ALTER ROLE postgres IN DATABASE DATABASE SET search_path = acme",
        [(None, "setting-extra", "setting search_path of role postgres in database DATABASE")],
    ),
    "setting of the master everywhere": (
        "ALTER ROLE postgres SET session_replication_role = replica",
        [(None, "setting-extra", "setting session_replication_role of role postgres in all databases")],
    ),
    "setting of all roles": (
        "ALTER ROLE ALL SET session_replication_role = replica",
        [(None, "setting-extra", "setting session_replication_role of all databases")],
    ),
    "setting of the server": (
        "ALTER SYSTEM SET session_replication_role = replica -- and reload",
        [(None, "setting-differs", "setting session_replication_role of the server")],
    ),
    # Event triggers
    **{
        f"event trigger on {event}": (
            f"SET ROLE dba; CREATE EVENT TRIGGER watch_{event} ON {event} EXECUTE FUNCTION outer_space.watch()",
            [(None, "event-trigger-extra", f"event trigger watch_{event}")],
        )
        for event in ("ddl_command_start", "ddl_command_end", "sql_drop", "table_rewrite")
    },
    "event trigger in replicas": (
        "SET ROLE dba; CREATE EVENT TRIGGER watch_replicas ON sql_drop EXECUTE FUNCTION outer_space.watch(); ALTER EVENT TRIGGER watch_replicas ENABLE REPLICA",
        [(None, "event-trigger-extra", "event trigger watch_replicas")],
    ),
    # Replication
    "subscription": (
        "CREATE PUBLICATION ours FOR TABLE acme.users, globex.users",
        [(None, "subscription-extra", "subscription theirs_DATABASE")],
    ),
    # Default privileges
    "INSERT by default": (_default("TABLES", "INSERT"), [(None, "database-privileges-differs", "default privileges of postgres on tables")]),
    "all by default to another role": (_default("TABLES", "ALL", "dba"), [(None, "database-privileges-differs", "default privileges of postgres on tables")]),
    "USAGE of sequences by default": (_default("SEQUENCES", "USAGE"), [(None, "database-privileges-differs", "default privileges of postgres on sequences")]),
    "USAGE of schemas by default": (_default("SCHEMAS", "USAGE"), [(None, "database-privileges-differs", "default privileges of postgres on schemas")]),
    "functions by default to another role": (_default("FUNCTIONS", "EXECUTE", "dba"), [(None, "database-privileges-differs", "default privileges of postgres on functions")]),
    "types by default to another role": (_default("TYPES", "USAGE", "dba"), [(None, "database-privileges-differs", "default privileges of postgres on types")]),
    "owner without TRUNCATE by default": (
        "SET ROLE postgres; ALTER DEFAULT PRIVILEGES REVOKE TRUNCATE ON TABLES FROM postgres",
        [(None, "database-privileges-differs", "default privileges of postgres on tables")],
    ),
    # Schemas whose names look like a tenant's
    "schema in another case": ('CREATE SCHEMA "Acme"', [("Acme", STRAY, "schema")]),
    "schema in capitals": ('CREATE SCHEMA "GLOBEX"', [("GLOBEX", STRAY, "schema")]),
    "schema with a blank at its end": ('CREATE SCHEMA "acme "', [("acme ", STRAY, "schema")]),
    "schema with a blank at its start": ('CREATE SCHEMA " acme"', [(" acme", STRAY, "schema")]),
    "schema with a wide blank": ('CREATE SCHEMA "acme\u00a0"', [("acme\u00a0", STRAY, "schema")]),
    "schema with an invisible letter": ('CREATE SCHEMA "ac\u200bme"', [("ac\u200bme", STRAY, "schema")]),
    "schema in wide letters": ('CREATE SCHEMA "\uff41\uff43\uff4d\uff45"', [("\uff41\uff43\uff4d\uff45", STRAY, "schema")]),
    # Strays
    "stray of tables": (_copy("other_tables", "TABLE", "(n int)"), [("other_tables", STRAY, "schema")]),
    "stray of unlogged tables": (_copy("other_unlogged_tables", "UNLOGGED TABLE", "(n int)"), [("other_unlogged_tables", STRAY, "schema")]),
    "stray of views": (_copy("other_views", "VIEW", "AS SELECT 1 AS n"), [("other_views", STRAY, "schema")]),
    "stray of views of a tenant": ("; ".join(["CREATE SCHEMA other_views_of_a_tenant", *(f"CREATE VIEW other_views_of_a_tenant.{table} AS TABLE acme.{table}" for table in TABLES)]), [("other_views_of_a_tenant", STRAY, "schema")]),
    "stray of materialized views": (_copy("other_materialized_views", "MATERIALIZED VIEW", "AS SELECT 1 AS n"), [("other_materialized_views", STRAY, "schema")]),
    "stray of foreign tables": (_copy("other_foreign_tables", "FOREIGN TABLE", "(n int) SERVER elsewhere"), [("other_foreign_tables", STRAY, "schema")]),
    "stray of partitioned tables": (_copy("other_partitioned_tables", "TABLE", "(n int) PARTITION BY LIST (n)"), [("other_partitioned_tables", STRAY, "schema")]),
    "stray of partitions": (
        "; ".join(["CREATE SCHEMA other_partitions", *(f"CREATE TABLE outer_space.{table} (n int) PARTITION BY LIST (n); CREATE TABLE other_partitions.{table} PARTITION OF outer_space.{table} DEFAULT" for table in TABLES), "ALTER TABLE outer_space.users RENAME TO persons"]),
        [("other_partitions", STRAY, "schema")],
    ),
    "stray by a tenant's renaming": (
        "ALTER SCHEMA globex RENAME TO globex_old",
        [("globex", "schema-missing", "schema"), ("globex_old", STRAY, "schema")],
    ),
    # Children and foreign keys
    "child elsewhere": ("CREATE TABLE outer_space.more () INHERITS (acme.users)", [(None, "inheritance-extra", "table outer_space.more")]),
    "child elsewhere with rows": (
        "CREATE TABLE outer_space.more_with_rows () INHERITS (acme.currencies); INSERT INTO outer_space.more_with_rows VALUES ('USD', 'Dollar')",
        [(None, "inheritance-extra", "table outer_space.more_with_rows"), ("acme", "rows-too-many", "rows of currencies")],
    ),
    "rows moved to a child elsewhere": (
        "CREATE TABLE outer_space.more_moved () INHERITS (globex.currencies); WITH gone AS (DELETE FROM ONLY globex.currencies WHERE code = 'EUR' RETURNING *) INSERT INTO outer_space.more_moved TABLE gone",
        [(None, "inheritance-extra", "table outer_space.more_moved")],
    ),
    "table of a tenant a child of another's": ("ALTER TABLE globex.users INHERIT acme.users", [("globex", "inheritance-differs", "parents of users"), ("acme", "rows-too-many", "rows of users"), ("acme", "sample-rows-altered", "sample rows of users")]),
    "foreign key from elsewhere": (
        "CREATE TABLE outer_space.referring (user_id int CONSTRAINT whose REFERENCES acme.users)",
        [(None, "foreign-key-extra", "foreign key whose of table outer_space.referring")],
    ),
    "foreign key from elsewhere that deletes": (
        "CREATE TABLE public.referring (user_id int CONSTRAINT whose REFERENCES acme.users ON DELETE CASCADE)",
        [(None, "foreign-key-extra", "foreign key whose of table public.referring")],
    ),
    "foreign key of a partitioned table elsewhere": (
        "CREATE TABLE outer_space.referring_parted (user_id int CONSTRAINT whose REFERENCES acme.users) PARTITION BY LIST (user_id); CREATE TABLE outer_space.part PARTITION OF outer_space.referring_parted DEFAULT",
        [(None, "foreign-key-extra", "foreign key whose of table outer_space.referring_parted")],
    ),
    "foreign key between tenants": (
        "ALTER TABLE globex.part_01 ADD CONSTRAINT whose FOREIGN KEY (user_id) REFERENCES acme.users",
        [("globex", "constraint-extra", "constraint part_01.whose")],
    ),
    # The ledger
    "ledger edited": ("UPDATE etl_manager.applied SET sha256 = repeat('0', 64)", [(None, "change-edited", "change 0001-shop.sql")]),
    "ledger edited for one tenant": ("UPDATE etl_manager.applied SET sha256 = repeat('0', 64) WHERE tenant = 'acme'", [(None, "change-edited", "change 0001-shop.sql")]),
    "ledger with another change": (
        "INSERT INTO etl_manager.applied (tenant, change, sha256, run) SELECT tenant, '0002-more.sql', sha256, run FROM etl_manager.applied",
        [(None, "change-gone", "change 0002-more.sql")],
    ),
    "ledger emptied": ("TRUNCATE etl_manager.applied", [(tenant, "change-pending", "changes") for tenant in TENANTS]),
    "ledger gone": ("DROP SCHEMA etl_manager CASCADE", [(tenant, "change-pending", "changes") for tenant in TENANTS]),
    "ledger not readable": ("REVOKE ALL ON etl_manager.applied FROM postgres", [(None, "ledger-not-readable", "ledger etl_manager.applied")]),
}  # fmt: skip
"""What was altered → the statements, run as superuser, and what is to be found; nothing else is, but for what follows."""

TOGETHER: tuple[tuple[str, ...], ...] = (
    (
        "few connections", "database a template", "PUBLIC may create schemas", "event trigger on ddl_command_start",
        "event trigger on ddl_command_end", "event trigger on sql_drop", "event trigger on table_rewrite",
        "event trigger in replicas", "subscription",
    ),
    (
        "sessions as of a replica", "row-level security as an error", "another search path", "read-only sessions",
        "another access method", "functions not checked", "another time zone", "NULL equal to NULL", "commits not waited for",
        "isolation", "setting of the master here",
    ),
    ("search path of several", "setting of the master everywhere", "ledger edited", "ledger with another change"),
    ("setting of all roles", "ledger edited for one tenant"),
    (
        "schema in another case", "schema in capitals", "schema with a blank at its end", "schema with a blank at its start",
        "schema with a wide blank", "schema with an invisible letter", "schema in wide letters", "stray of tables",
        "stray of unlogged tables", "stray of views", "stray of views of a tenant", "stray of materialized views",
        "stray of foreign tables", "stray of partitioned tables", "stray of partitions",
    ),
    (
        "child elsewhere", "child elsewhere with rows", "rows moved to a child elsewhere",
        "table of a tenant a child of another's", "foreign key from elsewhere", "foreign key from elsewhere that deletes",
        "foreign key of a partitioned table elsewhere", "foreign key between tenants",
    ),
)  # fmt: skip
"""Alterations that have nothing to do with each other, made in one database; each of the others has one of its own."""

FOLLOWS = {
    "another tablespace": {"expectation"},
    "database's owner": {"expectation"},
    "INSERT by default": {"grant-missing"},
    "all by default to another role": {"grant-missing"},
    "USAGE of sequences by default": {"grant-missing"},
    "USAGE of schemas by default": {"grant-missing"},
    "functions by default to another role": {"grant-missing"},
    "types by default to another role": {"grant-missing"},
    "owner without TRUNCATE by default": {"owner-privileges-differs"},
}
"""Kinds that follow from the alteration in all tenants: the template, too, would be made with other privileges now."""

CLOSED: dict[str, tuple[str, str]] = {
    "owner without INSERT by default": (
        "SET ROLE postgres; ALTER DEFAULT PRIVILEGES REVOKE INSERT ON TABLES FROM postgres",
        "permission denied for table configured",
    ),
    "database without connections": ("ALTER DATABASE DATABASE ALLOW_CONNECTIONS false", "is not currently accepting connections"),
    "database with a limit of no connections": ("ALTER DATABASE DATABASE CONNECTION LIMIT 0", "too many connections for database"),
    "master may not connect": ("ALTER DATABASE DATABASE OWNER TO rdsadmin; REVOKE CONNECT ON DATABASE DATABASE FROM PUBLIC", "permission denied for database"),
}  # fmt: skip
"""What keeps the look itself out: the statements, and what the error says."""

HARMLESS: dict[str, str] = {
    "VACUUM": "VACUUM acme.users",
    "ANALYZE": "ANALYZE",
    "comments": "COMMENT ON TABLE acme.users IS 'ours'; COMMENT ON COLUMN acme.users.name IS 'theirs'; COMMENT ON DATABASE DATABASE IS 'all'",
    "statistics target": "ALTER TABLE acme.users ALTER name SET STATISTICS 500",
    "a column's storage": "ALTER TABLE acme.users ALTER name SET STORAGE EXTERNAL",
    "clustering": "CLUSTER acme.users USING users_pkey",
    "a view elsewhere": "CREATE VIEW outer_space.all_users AS SELECT name FROM acme.users UNION ALL SELECT name FROM globex.users",
    "a table elsewhere": "CREATE TABLE outer_space.more (n int)",
    "a role without rights": "DROP ROLE IF EXISTS idle; CREATE ROLE idle",
    "a setting of another role": "ALTER ROLE dba IN DATABASE DATABASE SET search_path = acme",
    "a publication of a table": "CREATE PUBLICATION one FOR TABLE acme.users",
    "a publication of all tables": "CREATE PUBLICATION every FOR ALL TABLES",
    "a disabled event trigger": "SET ROLE dba; CREATE EVENT TRIGGER asleep ON sql_drop EXECUTE FUNCTION outer_space.watch(); ALTER EVENT TRIGGER asleep DISABLE",
    "an event trigger of AWS's": "CREATE EVENT TRIGGER watch ON sql_drop EXECUTE FUNCTION outer_space.watch()",
    "default privileges of another role": "ALTER DEFAULT PRIVILEGES FOR ROLE dba GRANT INSERT ON TABLES TO PUBLIC",
    "numbers of a sequence used": "SELECT nextval('acme.invoice_number')",
    "CREATE for a named role": "GRANT CREATE ON DATABASE DATABASE TO dba",
    "a subscription that writes elsewhere": "CREATE TABLE outer_space.copied (n int); CREATE PUBLICATION ours FOR TABLE outer_space.copied",
}  # fmt: skip
"""What changes nothing that matters: the statements, run as superuser. Nothing is found."""

ACCEPTED: dict[str, str] = {
    "order of columns": "a column that a change adds comes last, in a new tenant as in an old one; replication goes by name",
    "storage, compression and statistics targets of columns; comments; security labels; clustering": "they change how fast, not what",
    "position of sequences": "every use moves it",
    "rows of tables that no data file fills; other rows where sampleData.otherRows accepts them": "they are the tenants' own",
    "publications": "they read; the site's own replication may have some",
    "subscriptions that write to no table of a tenant; disabled event triggers": "nothing of a tenant is changed by them",
    "event triggers of rdsadmin or of an extension": "they belong to AWS, or to what was installed",
    "views elsewhere that read tenants' tables": "they change nothing; who may read through them, their owner decides",
    "functions, triggers and rules of other schemas that would write into tenants": "only running them shows it; they need the rights of an owner",
    "settings of other roles; default privileges of other roles": "they act in their sessions and on their objects only",
    "membership of roles, superusers, pg_write_all_data": "they are the cluster's, and AWS grants some itself",
    "CREATE on the database for a named role": "an application's own migrations need it",
    "other settings of the server": "parameter groups hold them; those that zero-ETL needs the gate reads from AWS",
    "schemas named in aurora.otherSchemas": "config.json says whose they are not",
    "names that only letters of other alphabets make look alike": "they are found by their tables, or by the tenants' common prefix",
}
"""What is left as it is on purpose → why."""
