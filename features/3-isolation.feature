@isolation
Feature: Tenant isolation
  Each tenant has a role that works in its own schema and reaches nothing else:
  an application that takes on the role of one tenant cannot read or write another's rows.
  It is proven where the configuration names the phase isolation.

  Background:
    Given the database exists

  Scenario: What everybody may do reaches no tenant
    Given the tenants have roles
    Then everybody may do nothing outside the tenants that a tenant's role should not

  @each-tenant
  Scenario Outline: The role of <tenant> works in its own schema and nowhere else
    Given the tenant <tenant> has a role
    Then the role holds what it needs in the schema of <tenant>, and nothing else
    And nobody else may do anything in the schema of <tenant> but what the template says
    And the role may read and write the tables of <tenant>
    And the same is refused to it in the schema of another tenant

    Examples:
      | tenant |
