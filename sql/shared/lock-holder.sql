-- Tell who holds the lock that another session waits for, as one line; nothing where it has not waited long enough.
-- variables:   watched: that session's application_name; least: seconds it must have waited
-- needs:       PostgreSQL 14 (pg_locks.waitstart)
-- Of sessions of other users PostgreSQL shows process, program and user to everybody, and since when to members of
-- pg_read_all_stats only.
SET search_path = pg_catalog, pg_temp;
SELECT count(*) > 0 AS waits, max(pid) AS waiting,
       -- In quotes: psql takes a plain name with "=" or "://" in it for a connection string.
       format('dbname=''%s''', replace(replace(max(datname), '\', '\\'), '''', '\''')) AS its_database
  FROM pg_stat_activity JOIN pg_locks USING (pid)
 WHERE application_name = :'watched' AND NOT granted AND waitstart <= clock_timestamp() - make_interval(secs => :least) \gset

\if :waits
-- A relation's name is known in its own database only.
\connect -reuse-previous=on :"its_database"
SET search_path = pg_catalog, pg_temp;
WITH holder AS (
    SELECT DISTINCT blocking.pid, activity.*
      FROM unnest(pg_blocking_pids(:waiting)) AS blocking (pid)
      LEFT JOIN LATERAL (
           SELECT format('process %s (%s) of user %s, %s', pid, coalesce(nullif(application_name, ''), 'no application name'), usename,
                         coalesce(format('%s, in a transaction since %s', state, date_trunc('second', xact_start)),
                                  'hidden from ' || current_user)) AS who
             FROM pg_stat_activity WHERE pg_stat_activity.pid = blocking.pid) AS activity ON true
)
SELECT regexp_replace(
           format('waited %s s for %s on %s, held by %s. Let it end, or end it: %s',
                  extract(epoch FROM clock_timestamp() - waitstart)::bigint, mode,
                  CASE locktype
                  WHEN 'relation' THEN (SELECT coalesce(wanted.relation::regclass::text, 'a relation'))
                  WHEN 'transactionid' THEN
                      'rows of ' || coalesce((
                          SELECT string_agg(DISTINCT own.relation::regclass::text, ', ')
                            FROM pg_locks AS own
                            JOIN pg_locks AS other USING (locktype, database, relation, granted)
                            JOIN pg_class ON pg_class.oid = own.relation AND relkind IN ('r', 'p')
                           WHERE own.pid = :waiting AND other.pid IN (SELECT pid FROM holder)
                             AND own.mode LIKE 'Row%' AND other.mode LIKE 'Row%'), 'a table')
                  ELSE 'an object of type ' || locktype END,
                  (SELECT string_agg(coalesce(who, 'a prepared transaction (pg_prepared_xacts)'), '; ' ORDER BY pid) FROM holder),
                  (SELECT string_agg(CASE pid WHEN 0 THEN 'ROLLBACK PREPARED' ELSE format('SELECT pg_terminate_backend(%s)', pid) END,
                                     '; ' ORDER BY pid) FROM holder)),
           '[[:cntrl:]]', '?', 'g')
  FROM pg_locks AS wanted
 WHERE pid = :waiting AND NOT granted AND EXISTS (SELECT FROM holder);
\endif
