/** What people of other systems write for a key: another key of the same object, or what to do instead. */
export interface KeyHabits {
  /** Keys here, by the keys of others. */
  readonly aliases?: Readonly<Record<string, string>>;
  readonly advice?: Readonly<Record<string, string>>;
  /** The required key that is not missing any more once that advice is followed. */
  readonly standsFor?: string;
}

/** What is to be done about an unknown key: the key that was meant, or a sentence. */
export type KeyHabit = { readonly meant: string } | { readonly advice: string };

/** Looks a key up, whatever its case and its separators; only keys that are known there count. */
export function habitOf(
  key: string,
  { aliases = {}, advice = {} }: KeyHabits,
  known: readonly string[],
): KeyHabit | undefined {
  const plain = key.toLowerCase().replace(/[-_]/g, '');
  const meant = Object.hasOwn(aliases, plain) ? aliases[plain] : undefined;
  if (typeof meant === 'string' && known.includes(meant)) return { meant };
  const sentence = Object.hasOwn(advice, plain) ? advice[plain] : undefined;
  return typeof sentence === 'string' ? { advice: sentence } : undefined;
}

/** Every spelling of a key means the same. */
function all(words: string, value: string): Record<string, string> {
  return Object.fromEntries(words.split(' ').map((word) => [word, value]));
}

const RETRY =
  'the retries of one step are metadata: { retry: { maximumAttempts, initialInterval, … } }, those of a list of steps are catch.retry of a `try`';
const ON_ERROR = 'put the step into `try`, and say under `catch` what happens then';
const IN_ORDER =
  'steps run one after the other in the order of the list; those that run side by side are branches of a `fork`';
const UNDER_USE = (key: string) => `write it under use: use: { ${key}: … }`;

/** Keys of the document, as the top of other languages has them. */
export const DOCUMENT_HABITS: KeyHabits = {
  aliases: {
    ...all('steps tasks task states jobs stages activities actions nodes workflow pipeline flow sequence', 'do'),
    ...all('inputs parameters params arguments', 'input'),
    ...all('outputs result', 'output'),
    ...all('trigger triggers on cron schedules', 'schedule'),
    ...all('components definitions', 'use'),
  },
  advice: {
    ...all('language expressionlanguage expressionlang', 'write evaluate: { language: … }'),
    ...all('functions', UNDER_USE('functions')),
    ...all('errors', UNDER_USE('errors')),
    ...all('retries', UNDER_USE('retries')),
    ...all('timeouts', UNDER_USE('timeouts')),
    ...all('secrets', UNDER_USE('secrets')),
    ...all('catalogs', UNDER_USE('catalogs')),
    ...all('auth authentication authentications', UNDER_USE('authentications')),
    ...all('retry retrypolicy retrystrategy', 'the retries of all steps are document: { metadata: { retry: … } }'),
    ...all(
      'variables vars env environment constants',
      'there are no global variables; give them as input, or set them in the first step and read steps.NAME.output',
    ),
    ...all('description', 'write document: { summary: … }'),
    ...all('labels annotations', 'write document: { tags: … }'),
    ...all('start startat entrypoint', 'a flow begins with the first task of its list'),
    ...all(
      'catch onerror onfailure errorhandling',
      'put the steps into `try`, and say under `catch` what happens then',
    ),
    ...all('concurrency', 'how many rounds of a loop run at once is metadata.concurrency of the `for`'),
  },
};

/** Keys that stand on a task of any kind. */
export const TASK_HABITS: KeyHabits = {
  aliases: {
    ...all('when condition conditions runif onlyif', 'if'),
    ...all('next goto transition nexttask nextstep', 'then'),
    ...all('args arguments params parameters inputs inputparameters inputparams', 'with'),
    ...all('outputs', 'output'),
    ...all('inputs', 'input'),
  },
  advice: {
    ...all(
      'retry retries retrypolicy retrystrategy retrycount maxattempts maximumattempts retrylimit maxretries',
      RETRY,
    ),
    ...all('catch onerror onfailure onerrors error continueonerror ignoreerrors allowfailure', ON_ERROR),
    ...all('depends dependson needs dependencies after', IN_ORDER),
    ...all('name id title taskreferencename', 'the name of a step is its key in the list: - NAME: …'),
    ...all('description comment doc summary displayname', 'write metadata: { summary: … }'),
    ...all(
      'loop foreach foreachitem withitems withparam items each matrix iterate',
      'a loop is a task of its own: for: { in: … } with the steps under do',
    ),
    ...all(
      'register save saveas resultpath assignto result store exportto',
      'the output of a step is there as steps.NAME.output; output: { as: … } changes it',
    ),
    ...all(
      'env environment vars variables',
      'there are no environment variables; give the values as arguments under with',
    ),
    ...all('end isend terminate', 'write then: end'),
    ...all(
      'parallel parallelism',
      'what runs side by side are branches of a `fork`, or rounds of a `for` with metadata.concurrency',
    ),
    ...all(
      'script shell command cmd image container',
      'shell commands, scripts and containers are not supported; call a service that runs them (call: http)',
    ),
    ...all('type uses action operator resource kind', 'the block of a step is under call, such as call: http'),
    ...all('delay startdelay waitbefore sleep', 'put a step before it: - NAME: { wait: PT10S }'),
    ...all('after', 'steps run in the order of their list'),
    ...all('auth authentication', 'write it under with.endpoint: endpoint: { uri: …, authentication: … }'),
    ...all('state data value values', 'what a step works with is under its kind, such as with of a call'),
  },
};

const HTTP: KeyHabits = {
  aliases: {
    ...all('url uri href address', 'endpoint'),
    ...all('verb httpmethod', 'method'),
    ...all('data json payload content requestbody form', 'body'),
    ...all('params queryparams queryparameters searchparams querystring', 'query'),
    ...all('httpheaders requestheaders', 'headers'),
    ...all('followredirects allowredirects', 'redirect'),
    ...all('path file blob target', 'to'),
  },
  advice: {
    ...all('auth authentication authorization', 'write endpoint: { uri: …, authentication: … }'),
    ...all('timeout timeoutseconds', 'the time limit is the step’s: timeout: { after: PT30S } beside call'),
    ...all('retry retries', RETRY),
    ...all('contenttype', 'write headers: { content-type: … }'),
  },
};

const SQL: KeyHabits = {
  aliases: {
    ...all('query sql command text', 'statement'),
    ...all('params args arguments values bindings inputs variables', 'parameters'),
    ...all('db connection datasource url connectionstring dsn', 'database'),
    ...all('limit max rows maxresults', 'maxRows'),
    ...all('queries sqls', 'statements'),
  },
};

const FS: KeyHabits = {
  aliases: {
    ...all('file filename key name filepath location', 'path'),
    ...all('data body value text', 'content'),
    ...all('format type', 'as'),
    ...all('directory dir folder path', 'prefix'),
  },
};

const APPROVAL: KeyHabits = {
  aliases: {
    ...all('message text body details', 'description'),
    ...all('approvers users assignee reviewers', 'assignees'),
    ...all('approvals minapprovals count required', 'requiredApprovals'),
    ...all('name subject', 'title'),
    ...all('schema fields', 'form'),
  },
};

const ARGUMENTS: ReadonlyMap<string, KeyHabits> = new Map([
  ['http', HTTP],
  ['sql', SQL],
  ['fs', FS],
  ['human', APPROVAL],
]);

/** Arguments of a block, by the part of its name before the dot. */
export function argumentHabits(call: string): KeyHabits {
  return ARGUMENTS.get(call.split('.', 1).join()) ?? {};
}

/** Kinds of task, by what others call them. */
export const KIND_ALIASES: KeyHabits = {
  aliases: {
    ...all('steps tasks sequence block group', 'do'),
    ...all('parallel branches concurrent', 'fork'),
    ...all('loop foreach withitems withparam while map repeat each', 'for'),
    ...all('sleep delay pause timer', 'wait'),
    ...all('assign variables vars pass setvariable setvariables inject', 'set'),
    ...all('choice cases decision condition choices', 'switch'),
    ...all('throw fail error', 'raise'),
    ...all('publish send event sendevent produce', 'emit'),
    ...all('receive subscribe waitfor waitforevent on consume callback', 'listen'),
    ...all('function activity', 'call'),
  },
  advice: {
    ...all(
      'type uses action operator resource kind task tool',
      'the block of a step is under call, such as call: http',
    ),
    ...all(
      'shell command cmd bash image container',
      'shell commands and containers are not supported; call a service that runs them (call: http), or write a script (run: { script: { language: js, code: … } })',
    ),
    ...all(
      'script code javascript js',
      'a script is run with run: { script: { language: js, code: … } }, or call: script.run',
    ),
    ...all(
      'subflow workflow subworkflow childworkflow template',
      'another flow is run with run: { workflow: { namespace, name, version } }',
    ),
    ...all('approval approve human manual usertask', 'people are asked with call: human.approval'),
    ...all('request fetch url endpoint method rest', 'an HTTP request is call: http, with: { method: …, endpoint: … }'),
    ...all('query sql statement', 'a query is call: sql.query, with: { database: …, statement: … }'),
  },
};
