@data
Feature: Sample data
  Each tenant starts with the same number of sample users,
  so that Phase 3 has something to replicate and to compare.

  Background:
    Given the database exists

  @each-tenant
  Scenario Outline: <tenant> has its sample users
    Given the sample data of <tenant> is there
    Then <tenant>.users has <users> rows
    And its reference rows are there, unaltered

    Examples:
      | tenant | users |
