-- The sample users of a tenant: their content follows from tenant and number alone.
SELECT number AS user_id,
       format('User %s of %s', number, current_schema())              AS name,
       format('%s.user%s@example.com', current_schema(), number)      AS email
  FROM generate_series(1, current_setting('etl_manager.users_per_tenant')::integer) AS number;
