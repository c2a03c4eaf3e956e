@database
Feature: Database
  All tenants share one database of the cluster.
  Every later phase builds in it, and zero-ETL replicates from it.

  Scenario: The database is there, in the encoding that replication demands
    Given the database exists
    Then the database is encoded in UTF8
