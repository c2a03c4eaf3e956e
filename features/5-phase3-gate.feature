@gate
Feature: Gate before Phase 3
  Phase 3 replicates the tenants' tables to Redshift by a zero-ETL integration.
  It may start when one whole run has proven every prerequisite below. What only AWS can answer is proven on AWS, or not at all.

  Background:
    Given the environment as this run found it

  Rule: What Phase 2 was to build is there

    Scenario: The database exists
      Then the prerequisite database-exists is met

    Scenario: Every tenant has its schema, and nobody else has one
      Then the prerequisite tenant-schemas-exist is met

    Scenario: Every tenant has the tables of the template
      Then the prerequisite users-tables-exist is met

    Scenario: No change of the template is pending
      Then the prerequisite no-pending-changes is met

    Scenario: Every tenant has its sample rows
      Then the prerequisite sample-data-complete is met

  Rule: Exactly the tenants' tables are replicated, and each of them can be

    Scenario: The data filter takes exactly the tables of the tenants
      Then the prerequisite data-filter-ready is met

    Scenario: Every database of the cluster is encoded in UTF8
      Then the prerequisite database-encoding is met

    Scenario: Every table in the filter is an ordinary, logged table
      Then the prerequisite replicable-tables is met

    Scenario: Every table in the filter has a primary key
      Then the prerequisite primary-keys is met

    Scenario: Every column in the filter has a type that is replicated
      Then the prerequisite replicable-columns is met

    Scenario: No partitioned table is in the filter
      Then the prerequisite partition-parents is met

  Rule: The cluster can have the integration

    Scenario: The engine is one that zero-ETL supports
      Then the prerequisite engine-version is met

    Scenario: The parameters of the cluster let its changes be replicated
      Then the prerequisite cluster-parameters is met

    Scenario: There is room for another integration
      Then the prerequisite quotas is met

    Scenario: No integration stands in the way of the new one
      Then the prerequisite existing-integrations is met
