Feature: Flows
  What the kit can say about a flow as a whole.

  Scenario: A flow that completes
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: greets, version: '1.0.0' }
      evaluate: { language: cel }
      do:
        - greet:
            set:
              greeting: 'Hello ${ data.name }'
              names: { all: '${ [data.name] }', none: null }
      """
    And given the workflow input is:
      """yaml
      name: Ada
      """
    When the workflow is executed
    Then the workflow should complete
    And the workflow should complete with output:
      """json
      { "names": { "none": null, "all": ["Ada"] }, "greeting": "Hello Ada" }
      """
    And the workflow output should have properties 'greeting', 'names.all', 'names.none','names.all.0'
    And the workflow output should have properties 'names.all[0]'
    And the workflow output should have a 'greeting' property with value:
      """yaml
      Hello Ada
      """
    And the workflow output should have a 'names.none' property with value:
      """yaml
      null
      """
    And the workflow output should have a 'names.all' property containing 1 items

  Scenario Outline: A flow whose input is <input>
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: negates, version: '1.0.0' }
      evaluate: { language: cel }
      do:
        - negate: { set: '${ !data }' }
      """
    And given the workflow input is:
      """
      <input>
      """
    When the workflow is executed
    Then the workflow should complete with output:
      """
      <output>
      """

    Examples:
      | input | output |
      | true  | false  |
      | false | true   |

  Scenario: A flow that faults
    Given a workflow with definition:
      """json
      {
        "document": { "dsl": "1.0.3", "namespace": "conformance", "name": "faults", "version": "1.0.0" },
        "do": [{ "refuse": { "raise": { "error": { "type": "https://x.test/sold-out", "status": 410, "title": "Sold out" } } } }]
      }
      """
    When the workflow is executed
    Then the workflow should fault
    And the workflow should fault with error:
      """yaml
      type: https://x.test/sold-out
      status: 410
      instance: /do/0/refuse
      """

  Scenario: A flow that somebody cancels
    Given a workflow with definition:
      """yaml
      document: { dsl: '1.0.3', namespace: conformance, name: cancelled, version: '1.0.0' }
      do:
        - rest: { wait: PT1H }
      """
    When the workflow is executed
    Then the workflow should cancel
    And rest should cancel
