-- Prove that a file has run in the transaction that read-only.sql began, and to its end; the engine runs this after it.
\set ON_ERROR_STOP on
SELECT now() = :'read_only_since' AND current_setting('transaction_read_only')::boolean AS still_read_only \gset
\if :still_read_only
\else
    DO $$ BEGIN
        RAISE 'the file ended its read-only transaction'
        USING HINT = 'Leave out COMMIT, ROLLBACK and \connect: a file of verification runs in one read-only transaction.';
    END $$;
\endif
