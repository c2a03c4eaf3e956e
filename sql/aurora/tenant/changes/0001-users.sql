-- The users of a tenant. Types that zero-ETL replicates, and the primary key it demands.
CREATE TABLE users (
    user_id    integer      PRIMARY KEY,
    name       varchar(100) NOT NULL,
    email      varchar(255) NOT NULL,
    created_at timestamptz  NOT NULL DEFAULT now()
);
