@schema
Feature: Schema
  Each tenant has a schema of its own with a users table,
  so that no tenant's rows ever stand beside another's.

  Background:
    Given the database exists

  Scenario: The tenants of the configuration have schemas, and nobody else
    Given the tenant schemas exist
    Then no tenant schema exists that is not configured

  @each-tenant
  Scenario Outline: The schema of <tenant> holds a users table that can be replicated
    Given the schema <tenant> exists
    Then <tenant>.users is a table
    And <tenant>.users has the primary key user_id
    And <tenant>.users has the columns every tenant has
    And the schema <tenant> and its users table belong to the master user

    Examples:
      | tenant |
