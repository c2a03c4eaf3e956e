-- Forget what this session has seen of the database, so that it can look anew; what the template makes is kept.
-- included by: observation.sql (\ir), where a session looks more than once
BEGIN READ WRITE;
DROP VIEW pg_temp.isolation, pg_temp.surrounding, pg_temp.pending, pg_temp.ledger_problem, pg_temp.tenant_table;
DROP TABLE pg_temp.observed, pg_temp.observed_table, pg_temp.stray, pg_temp.row_count, pg_temp.finding,
           pg_temp.attempt, pg_temp.tried, pg_temp.isolation_found,
           pg_temp.applied, pg_temp.ledger, pg_temp.fill;

-- A template that could not be applied may be by now: a phase may have made what it builds on.
DO $$ BEGIN
    IF NOT (SELECT possible FROM pg_temp.expectation) THEN
        DELETE FROM pg_temp.expectation;
        DELETE FROM pg_temp.template_table;
        DELETE FROM pg_temp.expected;
        RESET row_security;
        PERFORM pg_temp.expect(false);
    END IF;
END $$;
COMMIT;
