@schema
Feature: Schema
  Each tenant has a schema of its own with the tables of the tenant template,
  so that no tenant's rows ever stand beside another's.

  Background:
    Given the database exists

  Scenario: The tenants of the configuration have schemas, and nobody else
    Given the tenant schemas exist
    Then no tenant schema exists that is not configured

  @each-tenant
  Scenario Outline: The schema of <tenant> is made as the tenant template says
    Given the schema <tenant> exists
    Then the schema <tenant> holds exactly the tables of the template
    And its tables are made as the template says
    And no change is pending in <tenant>

    Examples:
      | tenant |
