import { RESOURCE_CLASSES } from '../block-spec';
import { ON_FAILURE } from '../dead-letter';
import type { JsonObject } from '../json';
import { DISPATCHES } from '../local-step';
import { OVERLAP_POLICIES } from '../schedule/schedule';
import { KINDS_OF_METADATA_KEYS, METADATA_KEYS, type MetadataKey, STEP_ONLY_KEYS } from '../validation/check-metadata';
import { closed, LITERAL_DURATION, ref, refused, text } from './value-schemas';

const duration = (description: string): JsonObject => ({ ...LITERAL_DURATION, description });
const rounds = (description: string): JsonObject => ({ type: 'integer', minimum: 1, maximum: 1_000, description });

/** What `metadata` means here (docs/dsl.md, "Metadata"). The compiler sees to it that no key is missing. */
const KEYS: Readonly<Record<MetadataKey, JsonObject>> = {
  resources: {
    enum: [...RESOURCE_CLASSES],
    description: "Pool that the step runs in; the block's own where it is left out",
  },
  retry: {
    description: "Temporal's retry policy of the step; what is left out is the block's own",
    ...closed({
      initialInterval: duration('Pause before the second attempt'),
      backoffCoefficient: {
        type: 'number',
        minimum: 1,
        maximum: 100,
        description: 'Each pause is so many times longer',
      },
      maximumInterval: duration('Longest pause'),
      maximumAttempts: {
        type: 'integer',
        minimum: 1,
        maximum: 100_000,
        description: 'Attempts, the first included; 1 is no retry',
      },
      nonRetryableErrorTypes: {
        type: 'array',
        items: { type: 'string' },
        description: 'Error codes that are not retried, such as BLW_HTTP_TOO_LARGE',
      },
    }),
  },
  priorityKey: {
    type: 'integer',
    minimum: 1,
    maximum: 5,
    description: '1 (first) to 5 (last) in the task queue; that of the start, else 3, where it is left out',
  },
  fairnessWeight: {
    type: 'number',
    minimum: 0.001,
    maximum: 1_000,
    default: 1,
    description: 'Share of the tenant where tenants compete for a queue',
  },
  heartbeat: duration('Silence of a running attempt after which it counts as lost; at least 2 s'),
  timeout: duration("Limit of one attempt; the step's own `timeout` limits all attempts together"),
  idempotent: {
    type: 'boolean',
    description: "The author's word that doing it twice does no harm: an attempt with an unknown outcome is repeated",
  },
  dispatch: {
    enum: [...DISPATCHES],
    description:
      'queue: an activity on its task queue. local: in the worker that runs the flow, for short steps that may be repeated. Left out: the worker chooses, unless its --dispatch says queue',
  },
  summary: text("One line that Temporal's UI shows for the step; may hold expressions"),
  compensate: ref('taskList', 'Tasks that undo the step when the flow fails later or is cancelled'),
  cache: {
    description: 'When the result of an earlier run of the step may be reused',
    ...closed({
      key: text('What results are told apart by, with expressions; the arguments where it is left out'),
      maxAge: { ...duration('Oldest result that is taken; at most P30D'), default: 'PT1H' },
    }),
  },
  onFailure: {
    enum: [...ON_FAILURE],
    default: 'fail',
    description:
      'What becomes of the flow where the step fails for good: it fails, goes on without the step, or the step waits for people as a dead letter',
  },
  mock: {
    description:
      'What the step is answered in a dry run: {output}, {error}, {timeout: true}, of an approval {decision}, a list of these, one for each attempt, or in a loop {rounds: […]}',
  },
  concurrency: rounds('Rounds of the loop that run at once; says that they do not depend on each other'),
  batchSize: rounds('Rounds of one batch; a longer loop runs each batch as a workflow of its own'),
  toleratedFailures: {
    type: ['integer', 'string'],
    minimum: 0,
    pattern: '^(?:100|\\d{1,2})(?:\\.\\d+)?%$',
    patternErrorMessage: 'Expected a whole number, or a share such as 5%',
    default: 0,
    description: 'Rounds of the loop that may fail: a number, or a share such as 5%',
  },
};

/** `document.metadata.schedule`. */
const SCHEDULE: JsonObject = {
  description: 'Settings of the schedule',
  ...closed({
    timezone: text('Name of the IANA database, such as Europe/Berlin'),
    overlap: {
      enum: [...OVERLAP_POLICIES],
      description: 'What happens where a run is due and the one before still goes on',
    },
    catchupWindow: duration('How long after its time a run is still started; at least 10 s'),
  }),
};

/** `metadata` of a step of some kind; all other keys are the author's own. */
export function stepMetadataSchema(kind: 'call' | 'for' | 'other'): JsonObject {
  const owners = new Map<MetadataKey, string>(KINDS_OF_METADATA_KEYS);
  return metadataSchema((key) => {
    const owner = owners.get(key);
    return owner === undefined || owner === kind ? KEYS[key] : refused(`metadata.${key} belongs to a ${owner} task`);
  });
}

/** `document.metadata`: defaults for all steps. */
export function documentMetadataSchema(): JsonObject {
  const schema = metadataSchema((key) =>
    STEP_ONLY_KEYS.includes(key) ? refused(`metadata.${key} is a step's own; write it there`) : KEYS[key],
  );
  return { ...schema, properties: { ...(schema.properties as JsonObject), schedule: SCHEDULE } };
}

function metadataSchema(schemaOf: (key: MetadataKey) => JsonObject): JsonObject {
  return {
    type: 'object',
    description: 'What the specification has no word for: hints for the worker. Other keys are yours',
    properties: Object.fromEntries(METADATA_KEYS.map((key) => [key, schemaOf(key)])),
  };
}
