import type { BlockSpec } from '../block-spec';

/** `call: human.approval`: a child workflow that awaits people's decisions. */
export const humanApproval: BlockSpec = {
  call: 'human.approval',
  type: 'human.approval',
  kind: 'human',
  summary: 'Waits for people to approve or reject',
  description: `Starts an \`approval\` workflow and waits for its outcome, for as long as it takes; no worker slot is held.

- People decide with \`beamline approvals approve|reject\`, the update \`decide {decision, by, groups?, comment?, form?}\`, or the signals
  \`approve\` and \`reject\` with the same object. An update answers; what a signal was refused for shows in the query \`state\`.
- **Outcome**: \`approved\` once \`requiredApprovals\` different people approved; \`rejected\` at the first rejection. A rejection is
  an outcome, not an error.
- **assignees**: only these users and members of these groups may decide; without it, anyone who can reach the workflow.
  A member of a group says so in the decision (\`groups: [finance]\`).
- **form**: a JSON Schema; an approval must bring a \`form\` that matches it.
- **timeout** with **onTimeout**: \`fail\` (default) fails the step with BLW_APPROVAL_TIMEOUT, \`reject\` gives the outcome
  \`rejected\`, \`continue\` the outcome \`timedOut\`. Without a timeout it waits forever.
- **selfApproval**: unless true, the person who asked for the flow (\`requestedBy\` of the start input) may not decide.
- Any number of approvals may wait at once, also inside \`for\` and \`fork\`. The workflow id is the flow's and the names of the
  steps on the way: \`order-7/approve\`, in the third round of the loop \`lines\` it is \`order-7/lines/approve/2\`.`,
  arguments: {
    type: 'object',
    required: ['title'],
    additionalProperties: false,
    properties: {
      title: { type: 'string', minLength: 1, maxLength: 200, description: 'What is to be decided, one line' },
      description: { type: 'string', maxLength: 20_000, description: 'Markdown for the people who decide' },
      assignees: {
        type: 'object',
        additionalProperties: false,
        minProperties: 1,
        description: 'Who may decide',
        properties: {
          users: {
            type: 'array',
            items: { type: 'string', minLength: 1 },
            description: 'Compared with `by` of the decision',
          },
          groups: { type: 'array', items: { type: 'string', minLength: 1 }, description: 'Compared with its `groups`' },
        },
      },
      requiredApprovals: {
        type: 'integer',
        minimum: 1,
        maximum: 100,
        default: 1,
        description: 'Different people who must approve',
      },
      form: { type: 'object', description: 'JSON Schema of the data that an approval must bring' },
      timeout: { type: ['string', 'object'], description: 'ISO 8601 or object duration' },
      onTimeout: {
        type: 'string',
        enum: ['fail', 'reject', 'continue'],
        default: 'fail',
        description: 'What a timeout does',
      },
      selfApproval: { type: 'boolean', default: false, description: 'The requester may decide too' },
    },
  },
  output: {
    type: 'object',
    properties: {
      decision: { type: 'string', enum: ['approved', 'rejected', 'timedOut'], description: 'The outcome' },
      decisions: {
        type: 'array',
        description: 'Those that counted, in order',
        items: {
          type: 'object',
          properties: {
            decision: { type: 'string', enum: ['approved', 'rejected'] },
            by: { type: 'string', description: 'Who decided' },
            at: { type: 'string', description: 'ISO 8601' },
            comment: { type: 'string' },
            form: {},
          },
        },
      },
    },
  },
  resources: 'io',
  startToCloseMs: 0,
  heartbeatMs: 0,
  retry: { initialIntervalMs: 0, backoffCoefficient: 1, maximumIntervalMs: 0, maximumAttempts: 1 },
  idempotent: true,
  errors: ['BLW_APPROVAL_TIMEOUT', 'BLW_ARG_INVALID'],
  example: `- approveRefund:
    call: human.approval
    with:
      title: Refund 99.50 to customer 4711?
      assignees:
        groups: [finance]
      timeout: P2D
      onTimeout: reject
`,
  summaryArguments: ['title'],
};
