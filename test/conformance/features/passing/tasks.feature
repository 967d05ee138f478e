Feature: Tasks
  What the kit can say about the tasks of a flow.

  Rule: Order

    Background:
      Given a workflow with definition:
        """yaml
        document: { dsl: '1.0.3', namespace: conformance, name: order, version: '1.0.0' }
        evaluate: { language: cel }
        do:
          - never: { if: data.never, set: { x: 1 } }
          - around:
              do:
                - one: { set: { x: 1 } }
                - two: { set: { x: 2 } }
          - three:
              for: { in: '${ [1, 2] }' }
              do:
                - inner: { set: { x: '${ item }' } }
        """
      And given the workflow input is:
        """yaml
        never: false
        """
      When the workflow is executed

    Scenario: Tasks one after the other
      Then around should run first
      And one should run first
      And one should run before two
      And two should run after one
      And around should run before three
      And inner should run after two
      And three should run last
      And inner should run last

  Rule: Endings

    Scenario: Tasks that complete
      Given a workflow with definition:
        """yaml
        document: { dsl: '1.0.3', namespace: conformance, name: completes, version: '1.0.0' }
        evaluate: { language: cel }
        do:
          - outer:
              do:
                - decide:
                    switch:
                      - always: { then: work }
                - skippedOver: { set: { x: 0 } }
                - work: { set: { x: 1 } }
              output: { as: { outer: '${ data.x }' } }
          - last: { set: { x: '${ data.outer + 1 }' } }
        output: { as: { flow: '${ data.x }' } }
        """
      And given the workflow input is:
        """yaml
        given: true
        """
      When the workflow is executed
      Then the workflow should complete with output:
        """yaml
        flow: 2
        """
      And work should complete
      And decide should complete with output:
        """yaml
        given: true
        """
      And work should complete with output:
        """yaml
        x: 1
        """
      And outer should complete with output:
        """yaml
        outer: 1
        """
      And last should complete with output:
        """yaml
        x: 2
        """

    Scenario: A task that faults
      Given a workflow with definition:
        """yaml
        document: { dsl: '1.0.3', namespace: conformance, name: caught, version: '1.0.0' }
        do:
          - attempt:
              try:
                - refuse: { raise: { error: { type: 'https://x.test/no', status: 409 } } }
              catch:
                do:
                  - recover: { set: { recovered: true } }
        """
      When the workflow is executed
      Then the workflow should complete
      And refuse should fault
      And refuse should fault with error:
        """yaml
        status: 409
        instance: /do/0/attempt/try/0/refuse
        """
      And attempt should complete
      And recover should complete with output:
        """yaml
        recovered: true
        """

    Scenario: A branch that loses
      Given a workflow with definition:
        """yaml
        document: { dsl: '1.0.3', namespace: conformance, name: race, version: '1.0.0' }
        do:
          - race:
              fork:
                compete: true
                branches:
                  - slow: { wait: PT1H }
                  - quick: { wait: { milliseconds: 1 } }
        """
      When the workflow is executed
      Then slow should cancel
      And quick should complete
      And race should complete

  Rule: Hosts that the kit calls

    Scenario Outline: The pet store answers with <status> to pet <pet>
      Given a workflow with definition:
        """yaml
        document: { dsl: '1.0.3', namespace: conformance, name: pet, version: '1.0.0' }
        evaluate: { language: cel }
        do:
          - getPet:
              try:
                - ask:
                    call: http
                    with:
                      method: get
                      endpoint: { uri: 'https://petstore.swagger.io/v2/pet/{pet}' }
                      output: response
              catch:
                do:
                  - describe: { set: { statusCode: '${ error.status }', detail: '${ error.detail }' } }
        """
      And given the workflow input is:
        """yaml
        pet: <pet>
        """
      When the workflow is executed
      Then the workflow output should have a 'statusCode' property with value:
        """
        <status>
        """

      Examples:
        | pet          | status |
        | 1            | 200    |
        | 99           | 404    |
        | getPetByName | 404    |

    Scenario: The URL that is seen is the original
      Given a workflow with definition:
        """yaml
        document: { dsl: '1.0.3', namespace: conformance, name: pets, version: '1.0.0' }
        do:
          - findPets:
              call: http
              with:
                method: get
                endpoint: 'https://petstore.swagger.io/v2/pet/findByStatus?status=pending,sold'
                output: response
        """
      When the workflow is executed
      Then the workflow output should have a 'content' property containing 2 items
      And the workflow output should have a 'content.1.status' property with value:
        """
        sold
        """
      And the workflow output should have a 'request.uri' property with value:
        """
        https://petstore.swagger.io/v2/pet/findByStatus
        """

    Scenario: Wrong credentials are refused
      Given a workflow with definition:
        """yaml
        document: { dsl: '1.0.3', namespace: conformance, name: login, version: '1.0.0' }
        do:
          - login:
              call: http
              with:
                method: get
                endpoint:
                  uri: https://httpbin.org/basic-auth/ada/secret
                  authentication: { basic: { username: ada, password: wrong } }
        """
      When the workflow is executed
      Then the workflow should fault with error:
        """yaml
        status: 401
        """

    Scenario: The right credentials are taken
      Given a workflow with definition:
        """yaml
        document: { dsl: '1.0.3', namespace: conformance, name: login, version: '1.0.0' }
        do:
          - login:
              call: http
              with:
                method: get
                endpoint:
                  uri: https://httpbin.org/basic-auth/ada/secret
                  authentication: { basic: { username: ada, password: secret } }
        """
      When the workflow is executed
      Then the workflow should complete with output:
        """yaml
        authenticated: true
        user: ada
        """
