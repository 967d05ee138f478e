import { isGrpcServiceError } from '@temporalio/client';
import { NamespaceNotFoundError } from '@temporalio/common';
import { FlowError, flowError } from '../dsl/errors';
import { CommandError } from './command-error';

/** Status codes of gRPC (grpc.io, "Status codes and their use in gRPC") that a user can do something about. */
const INVALID_ARGUMENT = 3;
const DEADLINE_EXCEEDED = 4;
const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const UNAVAILABLE = 14;
const UNAUTHENTICATED = 16;

/**
 * What went wrong between us and Temporal, as an error for people: BLW_TEMPORAL_UNREACHABLE, or BLW_CONFIG where the
 * namespace or the credentials are wrong, or BLW_USAGE where the server refuses what was asked. Any other error,
 * one for people among them, is returned as it is.
 */
export function translateClientError(error: unknown, where: { address: string; namespace: string }): unknown {
  if (error instanceof FlowError || error instanceof CommandError) return error;
  if (error instanceof NamespaceNotFoundError) return noNamespace(where, error);
  const status = grpcStatus(error);
  if (status === undefined) return error;
  const { code } = status;
  // A native connection has only the message.
  const details = status.details === '' ? status.message : status.details;
  if (code === NOT_FOUND && /^Namespace .* is not found/.test(details)) return noNamespace(where, error);
  if (code === PERMISSION_DENIED || code === UNAUTHENTICATED) {
    const detail = `Temporal at ${where.address} refuses this client: ${details}; check API key, certificate and namespace`;
    return flowError('BLW_CONFIG', detail, { cause: error });
  }
  if (code === INVALID_ARGUMENT) return flowError('BLW_USAGE', `Temporal refuses this: ${details}`, { cause: error });
  const reason = code === UNAVAILABLE ? connectionReason(details) : undefined;
  const seconds = code === DEADLINE_EXCEEDED ? /^Deadline exceeded after ([\d.]+)s/.exec(details)?.[1] : undefined;
  const rounded = Math.round(Number(seconds) * 10) / 10;
  // The last of several tries had what was left of the time: that says nothing.
  const inTime = rounded < 1 ? 'in time' : `within ${rounded} s`;
  const unexpected = seconds === undefined ? `as expected: ${details}` : inTime;
  const what = reason === undefined ? unexpected : `any more: ${reason}`;
  return flowError('BLW_TEMPORAL_UNREACHABLE', `Temporal at ${where.address} does not answer ${what}`, {
    cause: error,
  });
}

/** True where there was no connection to Temporal, so that any other call would have failed as well. */
export function isUnreachable(error: unknown): boolean {
  return grpcStatus(error)?.code === UNAVAILABLE;
}

function noNamespace({ address, namespace }: { address: string; namespace: string }, cause: unknown): FlowError {
  const detail = `Temporal at ${address} has no namespace "${namespace}"; set --namespace or TEMPORAL_NAMESPACE`;
  return flowError('BLW_CONFIG', detail, { cause });
}

/** `connect ECONNREFUSED …`, which gRPC puts into a sentence about name resolution. */
function connectionReason(details: string): string | undefined {
  const [, reason] = /Last error: (?:Error: )?(.+?)\.? Resolution note:/.exec(details) ?? [];
  return reason;
}

/** The SDK wraps some errors of gRPC and passes others on. */
function grpcStatus(error: unknown): { code: number; details: string; message: string } | undefined {
  for (let current = error; current instanceof Error; current = current.cause) {
    if (isGrpcServiceError(current)) return current;
  }
  return undefined;
}
