-- Open a session in which a file can only read; the engine runs this before each file of verification.
-- variables:   observing (yes, where the file includes observation.sql)
-- leaves:      a read-only transaction, which the file runs in. Once it has looked at anything, PostgreSQL lets nothing turn
--              it around, be it a function (PostgreSQL manual, SET TRANSACTION); what the file needs is made before it.
\set ON_ERROR_STOP on
\ir configuration.sql
\if :observing
    \ir observation.sql
\endif
SET default_transaction_read_only = on;
BEGIN READ ONLY;
SELECT now() AS read_only_since \gset
