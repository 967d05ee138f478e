import { type Access, requireScope } from '../../activities/access/access';
import { needWord } from '../../activities/access/scopes';
import { notRetryable } from '../../activities/block-failure';
import type { Admission, Bearer, Gate, RunPlace } from '../../activities/ports/gate';
import type { DecisionAdmission, DeploymentGrant, ResolutionAdmission, WindowAdmission } from '../../dsl/admission';
import type { Decider } from '../../dsl/approval';
import { isJsonObject, type Json } from '../../dsl/json';
import { shortJson } from '../../dsl/problems';
import { type RunOrigin, type StartInput, TENANT } from '../../dsl/start';
import type { PolicySource, TenantPolicy } from '../policy/policy';
import { accessOf } from '../policy/step-access';
import type { AuthKey } from './auth-key';
import { digestOf } from './digest';
import { type DeploymentTicket, Grants, type Holder } from './grants';
import { type FindFirstRun, RunChains } from './run-chains';
import {
  decisionPurpose,
  deploymentPurpose,
  openToken,
  resolutionPurpose,
  type SealPlace,
  startPurpose,
} from './sealed-token';
import { TokenVerifier } from './token-verifier';

/** Longest beginning of workflow ids that a deployment may have. */
const MAX_PREFIX_LENGTH = 500;

/** The gate of `--auth jwt` (docs/identity.md). */
export class TokenGate implements Gate {
  readonly #grants: Grants;
  readonly #chains: RunChains;
  readonly #verifier: TokenVerifier;
  readonly #policy: PolicySource;
  readonly #keys: readonly AuthKey[];
  readonly #namespace: string;

  constructor(options: {
    readonly keys: readonly [AuthKey, ...AuthKey[]];
    /** Of Temporal, which the worker serves. */
    readonly namespace: string;
    readonly policy: PolicySource;
    readonly findFirstRun: FindFirstRun;
    readonly warn: (message: string) => void;
  }) {
    const { keys, namespace, policy, findFirstRun, warn } = options;
    this.#keys = keys;
    this.#namespace = namespace;
    this.#grants = new Grants(keys, namespace);
    this.#chains = new RunChains(findFirstRun);
    this.#verifier = new TokenVerifier(() => policy.current()?.identity, warn);
    this.#policy = policy;
  }

  async admitStart(
    start: StartInput,
    sent: { tenant: string | undefined },
    at: RunPlace & RunOrigin,
  ): Promise<Admission> {
    const { sub, tenant, scopes } = await this.#starter(start, sent, at);
    if (sent.tenant !== undefined && sent.tenant !== tenant) throw otherTenant(sent.tenant);
    if (start.requestedBy !== undefined && start.requestedBy !== sub) {
      const detail = `requestedBy: got ${shortJson(start.requestedBy)}, the token is another person's; leave it out`;
      throw notRetryable('BLW_TOKEN_INVALID', detail);
    }
    const access = this.#access({ tenant, ...narrowed(scopes) });
    requireScope(access, needWord('flow', 'start'));
    const holder = { tenant, sub, ...narrowed(scopes), ...trial(start.mode === 'dry-run') };
    const grant = this.#grants.issue({ kind: 'run', id: at.workflowId, run: at.firstRunId, ...holder });
    return { tenant, requestedBy: sub, grant, access };
  }

  async admitWindow({ grant, tenant, origin }: WindowAdmission, { workflowId }: RunPlace): Promise<string> {
    const holder = await this.#parentHolder(grant, tenant, origin);
    return this.#grants.issue({ ...holder, kind: 'run', id: workflowId, run: origin.firstRunId });
  }

  async admitDecision(request: DecisionAdmission, at: RunPlace): Promise<Decider> {
    const { decision, grant, tenant, origin } = request;
    // One that no flow of ours asked for is none.
    await this.#parentHolder(grant, tenant, origin);
    const token = await openToken(decision.token ?? '', decisionPurpose(this.#placeOf(at), decision), this.#keys);
    const decider = await this.#verifier.verify(token, new Date());
    if (decider.tenant !== tenant) throw otherTenant(tenant);
    requireScope(this.#access(decider), needWord('approval', 'decide'));
    return { by: decider.sub, groups: [...decider.groups, ...groupsOf(decider.sub, this.#tenantPolicy(tenant))] };
  }

  async admitResolution(request: ResolutionAdmission, at: RunPlace): Promise<{ by: string }> {
    const { resolution, letter, grant, tenant } = request;
    // A run that no flow of ours is has no dead letters.
    await this.recognize({ grant, tenant }, at);
    const plain = await openToken(
      resolution.token ?? '',
      resolutionPurpose(this.#placeOf(at), letter, resolution),
      this.#keys,
    );
    const person = await this.#verifier.verify(plain, new Date());
    if (person.tenant !== tenant) throw otherTenant(tenant);
    requireScope(this.#access(person), needWord('deadletter', 'resolve'));
    if (resolution.by !== undefined && resolution.by !== person.sub) {
      const detail = `by: got ${shortJson(resolution.by)}, the token is another person's; leave it out`;
      throw notRetryable('BLW_TOKEN_INVALID', detail);
    }
    return { by: person.sub };
  }

  async admitDeployment(value: Json, at: RunPlace & RunOrigin): Promise<DeploymentGrant> {
    const { token, ...request } = readDeployment(value);
    const plain = await openToken(token, deploymentPurpose(this.#placeOf(at), request), this.#keys);
    const { sub, tenant, scopes } = await this.#verifier.verify(plain, new Date(at.startedAt));
    if (request.tenant !== tenant) throw otherTenant(request.tenant);
    requireScope(this.#access({ tenant, ...narrowed(scopes) }), needWord('flow', 'start'));
    const { flow, input, idPrefix } = request;
    const ticket: DeploymentTicket = {
      kind: 'deployment',
      idPrefix,
      flow: digestOf('flow', flow),
      ...(input === undefined ? {} : { input: digestOf('input', input) }),
      tenant,
      sub,
      ...narrowed(scopes),
    };
    return { grant: this.#grants.issue(ticket), by: sub };
  }

  async admitTrigger({ id, flow, grant, tenant }: Parameters<Gate['admitTrigger']>[0]): Promise<void> {
    if (grant === undefined) {
      throw notRetryable('BLW_TOKEN_REQUIRED', `trigger "${id}": deploy it with \`beamline deploy --token-file FILE\``);
    }
    const ticket = this.#grants.read(grant, 'deployment');
    if (
      ticket.idPrefix !== triggerPrefix(tenant, id) ||
      ticket.tenant !== tenant ||
      ticket.flow !== digestOf('flow', flow)
    )
      throw forged('it is for another trigger');
  }

  async recognize({ grant, tenant }: { grant?: string; tenant: string }, at: RunPlace): Promise<Bearer> {
    if (grant === undefined) {
      const detail = 'the flow was started without a token, or before tokens were needed; nothing was done';
      throw notRetryable('BLW_TOKEN_REQUIRED', detail);
    }
    const holder = this.#grants.read(grant, 'run');
    if (holder.id !== at.workflowId || !(await this.#chains.isPartOf(at, holder.run)))
      throw forged('it is for another workflow');
    if (holder.tenant !== tenant) throw forged('it is for another tenant');
    return {
      subject: holder.sub,
      ...(holder.scopes === undefined ? {} : { tokenScopes: holder.scopes }),
      ...trial(holder.isDryRun),
    };
  }

  /** Whoever starts the flow: with a token, or by a flow or a deployment that was let in before. */
  async #starter(start: StartInput, sent: { tenant: string | undefined }, at: RunPlace & RunOrigin): Promise<Holder> {
    const { token, grant, flow, input, mode } = start;
    if (grant !== undefined) return await this.#successor(start, grant, at);
    if (token === undefined) {
      throw notRetryable('BLW_TOKEN_REQUIRED', 'token: got none; workers check who starts flows (--auth jwt)');
    }
    const purpose = startPurpose(this.#placeOf(at), { flow, input, tenant: sent.tenant, mode });
    // It has to be valid when the flow is started, however long a worker takes to look at it.
    return await this.#verifier.verify(await openToken(token, purpose, this.#keys), new Date(at.startedAt));
  }

  async #successor(
    { flow, input, tenant, mode }: StartInput,
    grant: string,
    at: RunPlace & RunOrigin,
  ): Promise<Holder> {
    const read = this.#grants.read(grant, 'run', 'deployment');
    if (read.isDryRun === true && mode !== 'dry-run') throw forged('it is of a dry run, and the flow is live');
    if (read.kind === 'run') return await this.#parentHolder(grant, tenant, at);
    if (mode === 'dry-run') throw forged('it is of a deployment, which starts live flows');
    if (!at.workflowId.startsWith(read.idPrefix)) throw forged('it is for other workflow ids');
    if (read.flow !== digestOf('flow', flow)) throw forged('another flow was deployed');
    if (read.input !== undefined && read.input !== digestOf('input', input)) throw forged('another input was deployed');
    return read;
  }

  /** Whom the flow or window runs for that started this workflow: the server says which that is, and its grant whose. */
  async #parentHolder(grant: string, tenant: string, { parent }: RunOrigin): Promise<Holder> {
    const { id, run, tenant: owner, sub, scopes, isDryRun } = this.#grants.read(grant, 'run');
    if (parent?.workflowId !== id || !(await this.#chains.isPartOf(parent, run))) {
      throw forged('it is for another workflow than the one that started this');
    }
    if (owner !== tenant) throw forged('it is for another tenant');
    return { tenant, sub, ...narrowed(scopes), ...trial(isDryRun) };
  }

  #placeOf({ workflowId, runId }: RunPlace): SealPlace & RunPlace {
    return { namespace: this.#namespace, workflowId, runId };
  }

  #access({ tenant, scopes }: Pick<Holder, 'tenant' | 'scopes'>): Access {
    const access = accessOf(this.#policy, tenant, scopes);
    // There was one when the worker started.
    if (access === undefined) throw notRetryable('BLW_POLICY_INVALID', 'there is no policy in force');
    return access;
  }

  #tenantPolicy(tenant: string): TenantPolicy | undefined {
    return this.#policy.current()?.tenants.get(tenant);
  }
}

/** What the ids of flows begin with that a trigger starts. */
export function triggerPrefix(tenant: string, triggerId: string): string {
  return `${tenant}:${triggerId}:`;
}

function narrowed(scopes: readonly string[] | undefined): { scopes?: readonly string[] } {
  return scopes === undefined ? {} : { scopes };
}

function trial(isDryRun: boolean | undefined): { isDryRun?: true } {
  return isDryRun === true ? { isDryRun } : {};
}

function groupsOf(person: string, policy: TenantPolicy | undefined): string[] {
  return [...(policy?.approvers ?? [])].filter(([, members]) => members.includes(person)).map(([group]) => group);
}

function readDeployment(value: Json) {
  const { token, tenant, flow, input, idPrefix } = isJsonObject(value) ? value : {};
  if (
    typeof token === 'string' &&
    typeof tenant === 'string' &&
    TENANT.test(tenant) &&
    (typeof flow === 'string' || isJsonObject(flow)) &&
    typeof idPrefix === 'string' &&
    idPrefix !== '' &&
    idPrefix.length <= MAX_PREFIX_LENGTH
  ) {
    return { token, tenant, flow, ...(input === undefined ? {} : { input }), idPrefix };
  }
  if (token === undefined) {
    throw notRetryable('BLW_TOKEN_REQUIRED', 'token: is missing; use `beamline deploy --token-file FILE`');
  }
  throw notRetryable(
    'BLW_START_INVALID',
    'expected {"token", "tenant", "flow", "input"?, "idPrefix"}; use `beamline deploy --token-file FILE`',
  );
}

/** Says nothing of other tenants: not even whether they exist. */
function otherTenant(sent: string): Error {
  return notRetryable('BLW_TENANT_DENIED', `tenant: got ${shortJson(sent)}, the token is not for it`);
}

function forged(detail: string): Error {
  return notRetryable('BLW_TOKEN_INVALID', `grant: ${detail}; nothing was done`);
}
