@verification
Feature: Verification
  What was built is proven by the verification's own output, and read again by a second witness where there is one.
  Phase 3 may rely on a green run.

  Rule: Building is safe to repeat

    @idempotence
    Scenario: Provisioning again changes nothing
      Given the sample data is there
      When everything is provisioned again
      Then nothing was created or repaired

  Rule: The verification shows what the configuration names, and nothing else

    Background:
      Given the environment is verified

    Scenario: Exactly the configured tenants are shown
      Then the verification lists the schemas of all tenants
      And the verification lists the tables of all tenants
      And the verification counts the rows of all tenants

    Scenario: The verification finds nothing out of order outside the tenants
      Then the verification finds nothing out of order outside the tenants

    @each-tenant
    Scenario Outline: The verification finds nothing out of order in <tenant>
      Then the verification finds no difference in <tenant>

      Examples:
        | tenant |
