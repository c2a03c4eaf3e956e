@network
Feature: Network
  The database stands in a network of its own, as in the user's VPC.
  Whoever wants to reach it has to go through the bastion.

  Scenario: The bastion reaches the database, and the operator's machine does not
    Given a network of its own keeps the database
    When the operator's machine turns to the database directly
    Then no database answers it
    And the bastion is connected to it
