Feature: Assertions that do not hold
  Every scenario here must be reported as failed: test/conformance/own-features.test.ts says with which reason.

  Scenario: cancels
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: ok, version: '1.0.0' }
      do:
        - first: { set: { a: 1, list: [1, 2] } }
        - second: { set: { a: 2, list: [1, 2] } }
      """
    When the workflow is executed
    Then the workflow should cancel

  Scenario: completes
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: bad, version: '1.0.0' }
      do:
        - refuse: { raise: { error: { type: 'https://x.test/no', status: 409 } } }
      """
    When the workflow is executed
    Then the workflow should complete

  Scenario: completes with another output
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: ok, version: '1.0.0' }
      do:
        - first: { set: { a: 1, list: [1, 2] } }
        - second: { set: { a: 2, list: [1, 2] } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      a: 2
      list: [2, 1]
      """

  Scenario: faults
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: ok, version: '1.0.0' }
      do:
        - first: { set: { a: 1, list: [1, 2] } }
        - second: { set: { a: 2, list: [1, 2] } }
      """
    When the workflow is executed
    Then the workflow should fault

  Scenario: faults with another error
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: bad, version: '1.0.0' }
      do:
        - refuse: { raise: { error: { type: 'https://x.test/no', status: 409 } } }
      """
    When the workflow is executed
    Then the workflow should fault with error:
      """yaml
      type: https://x.test/no
      status: 410
      """

  Scenario: a flow that is refused
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: refused, version: '1.0.0' }
      do: []
      """
    When the workflow is executed

  Scenario: has properties
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: ok, version: '1.0.0' }
      do:
        - first: { set: { a: 1, list: [1, 2] } }
        - second: { set: { a: 2, list: [1, 2] } }
      """
    When the workflow is executed
    Then the workflow output should have properties 'a', 'list.2', 'b.c'

  Scenario: has properties of a flow that faulted
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: bad, version: '1.0.0' }
      do:
        - refuse: { raise: { error: { type: 'https://x.test/no', status: 409 } } }
      """
    When the workflow is executed
    Then the workflow output should have properties 'a'

  Scenario: has a property with another value
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: ok, version: '1.0.0' }
      do:
        - first: { set: { a: 1, list: [1, 2] } }
        - second: { set: { a: 2, list: [1, 2] } }
      """
    When the workflow is executed
    Then the workflow output should have a 'a' property with value:
      """yaml
      '2'
      """

  Scenario: has another number of items
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: ok, version: '1.0.0' }
      do:
        - first: { set: { a: 1, list: [1, 2] } }
        - second: { set: { a: 2, list: [1, 2] } }
      """
    When the workflow is executed
    Then the workflow output should have a 'list' property containing 3 items

  Scenario: has items that are none
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: ok, version: '1.0.0' }
      do:
        - first: { set: { a: 1, list: [1, 2] } }
        - second: { set: { a: 2, list: [1, 2] } }
      """
    When the workflow is executed
    Then the workflow output should have a 'a' property containing 2 items

  Scenario: runs first
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: ok, version: '1.0.0' }
      do:
        - first: { set: { a: 1, list: [1, 2] } }
        - second: { set: { a: 2, list: [1, 2] } }
      """
    When the workflow is executed
    Then second should run first

  Scenario: runs last
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: ok, version: '1.0.0' }
      do:
        - first: { set: { a: 1, list: [1, 2] } }
        - second: { set: { a: 2, list: [1, 2] } }
      """
    When the workflow is executed
    Then first should run last

  Scenario: runs before
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: ok, version: '1.0.0' }
      do:
        - first: { set: { a: 1, list: [1, 2] } }
        - second: { set: { a: 2, list: [1, 2] } }
      """
    When the workflow is executed
    Then second should run before first

  Scenario: runs after
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: ok, version: '1.0.0' }
      do:
        - first: { set: { a: 1, list: [1, 2] } }
        - second: { set: { a: 2, list: [1, 2] } }
      """
    When the workflow is executed
    Then first should run after second

  Scenario: runs before itself
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: ok, version: '1.0.0' }
      do:
        - first: { set: { a: 1, list: [1, 2] } }
        - second: { set: { a: 2, list: [1, 2] } }
      """
    When the workflow is executed
    Then first should run before first

  Scenario: runs although it does not
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: ok, version: '1.0.0' }
      do:
        - first: { set: { a: 1, list: [1, 2] } }
        - second: { set: { a: 2, list: [1, 2] } }
      """
    When the workflow is executed
    Then third should run first

  Scenario: a task cancels
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: ok, version: '1.0.0' }
      do:
        - first: { set: { a: 1, list: [1, 2] } }
        - second: { set: { a: 2, list: [1, 2] } }
      """
    When the workflow is executed
    Then first should cancel

  Scenario: a task completes
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: bad, version: '1.0.0' }
      do:
        - refuse: { raise: { error: { type: 'https://x.test/no', status: 409 } } }
      """
    When the workflow is executed
    Then refuse should complete

  Scenario: a task completes with another output
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: ok, version: '1.0.0' }
      do:
        - first: { set: { a: 1, list: [1, 2] } }
        - second: { set: { a: 2, list: [1, 2] } }
      """
    When the workflow is executed
    Then first should complete with output:
      """yaml
      a: 2
      list: [1, 2]
      """

  Scenario: a task faults
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: ok, version: '1.0.0' }
      do:
        - first: { set: { a: 1, list: [1, 2] } }
        - second: { set: { a: 2, list: [1, 2] } }
      """
    When the workflow is executed
    Then first should fault

  Scenario: a task faults with another error
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: bad, version: '1.0.0' }
      do:
        - refuse: { raise: { error: { type: 'https://x.test/no', status: 409 } } }
      """
    When the workflow is executed
    Then refuse should fault with error:
      """yaml
      detail: nothing
      """

  Scenario: an unknown step
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: ok, version: '1.0.0' }
      do:
        - first: { set: { a: 1, list: [1, 2] } }
        - second: { set: { a: 2, list: [1, 2] } }
      """
    When the workflow is executed
    Then the workflow should complete
    And the workflow should be pretty

  Scenario: an output that is missing
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: ok, version: '1.0.0' }
      do:
        - first: { set: { a: 1, list: [1, 2] } }
        - second: { set: { a: 2, list: [1, 2] } }
      """
    When the workflow is executed
    Then the workflow should complete with output:

  Scenario: an output that does not parse
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: ok, version: '1.0.0' }
      do:
        - first: { set: { a: 1, list: [1, 2] } }
        - second: { set: { a: 2, list: [1, 2] } }
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """yaml
      { a: 
      """

  Scenario: nothing asserted
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: ok, version: '1.0.0' }
      do:
        - first: { set: { a: 1, list: [1, 2] } }
        - second: { set: { a: 2, list: [1, 2] } }
      """
    When the workflow is executed

  Scenario: nothing executed
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: ok, version: '1.0.0' }
      do:
        - first: { set: { a: 1, list: [1, 2] } }
        - second: { set: { a: 2, list: [1, 2] } }
      """
    Then the workflow should complete

  Scenario: nothing defined
    When the workflow is executed
