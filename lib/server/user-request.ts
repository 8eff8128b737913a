/** A request of the protocol: whose it is → its step, or the server behind a gateway → the answer. */
import { finished, Readable } from 'node:stream';
import type { Syncing } from '../activity.ts';
import type { User } from '../auth/authenticator.ts';
import { SyncError } from '../errors.ts';
import type { Forwarding } from '../gateway/forwarding.ts';
import type { HttpResponse } from '../http.ts';
import type { LogEntry } from '../options.ts';
import { inPlainWords } from '../plain-words.ts';
import { isEmptyBody } from '../protocol/body-source.ts';
import type { MediaMethod, SyncMethod } from '../protocol/methods.ts';
import { requireHostKey, requireSessionKey, type SyncRequest } from '../protocol/request.ts';
import { packedResponse } from '../protocol/response.ts';
import { deviceAt, TELLS_OF_DEVICE } from './device.ts';
import { describeFailure } from './log-lines.ts';
import { login } from './login.ts';
import { placeOf, type Rooms } from './rooms.ts';
import type { Arrival, ServerState } from './state.ts';
import { STEPS } from './steps.ts';

/** Whatever a client does afterwards belongs to a sync that has begun. */
const BEGINS_A_SYNC: ReadonlySet<string> = new Set<SyncMethod | MediaMethod>(['meta', 'begin']);

export async function answerToUser(state: ServerState, rooms: Rooms, request: SyncRequest, arrival: Arrival): Promise<HttpResponse> {
  const { http, entry, secrets } = arrival;
  const { options } = state;
  entry.version = request.version;
  if (request.client !== '') entry.client = request.client.slice(0, 200);
  const { method } = request;
  if (method === 'hostKey') return login(rooms, { request, http, limits: options.limits, entry, secrets });

  // the official server's 403, at which a client asks for the password; who sends nothing at all is no client
  if (request.hostKey === '' && !(await isEmptyBody(request.body))) throw new SyncError('HOST_KEY_UNKNOWN', 'no host key: sign in first');
  requireHostKey(request);
  const user = await rooms.hostKeys.resolve(request.hostKey);
  if (user === null) throw new SyncError('HOST_KEY_UNKNOWN', 'unknown host key: sign in again');
  entry.user = user.loginName;
  rooms.spool.know(http.clientAddress);
  rooms.limits?.know(user.loginName, http.clientAddress);
  requireSessionKey(request);
  if (rooms.forwarding !== undefined) return forward(state, rooms, rooms.forwarding, { ...arrival, request, user });
  const leave = rooms.engine.admit(placeOf(user));
  let sync: Syncing | undefined;
  try {
    requireNoMaintenance(state, request);
    sync = state.syncs.arrived(method, user, entry.client);
    const response = await STEPS[method]({ rooms, request, user, entry, options, tell: state.tell });
    if (request.receivedBytes !== undefined) entry.receivedBytes = request.receivedBytes;
    entry.sentBytes = Number(response.headers['anki-original-size'] ?? response.headers['content-length']);
    request.sentBytes = entry.sentBytes;
    if (request.sanityFailed === true) [entry.event, entry.level] = ['sanity.bad', 'warn'];
    if (sync !== undefined) state.syncs.stepped(sync, request, response, entry);
    if (TELLS_OF_DEVICE.has(method)) rooms.hostKeys.synced?.(request.hostKey, deviceAt(entry, ''));
    // a download is on its way until its last byte is read, or its client is gone
    if (response.body instanceof Readable) finished(response.body, leave);
    else leave();
    return response;
  } catch (error) {
    leave();
    if (sync !== undefined) state.syncs.failed(sync, error);
    return inWords(error, request, entry, options.base);
  }
}

interface UserArrival extends Arrival {
  request: SyncRequest;
  user: User;
}

async function forward(state: ServerState, rooms: Rooms, forwarding: Forwarding, { request, http, user, entry, secrets }: UserArrival): Promise<HttpResponse> {
  try {
    requireNoMaintenance(state, request);
    const isStillSignedIn = async (): Promise<boolean> => (await rooms.hostKeys.resolve(request.hostKey))?.id === user.id;
    const response = await forwarding.answer({ request, http, user, secrets, isStillSignedIn });
    const isWell = response.status < 300;
    if (isWell && (request.method === 'meta' || TELLS_OF_DEVICE.has(request.method))) rooms.hostKeys.synced?.(request.hostKey, deviceAt(entry, ''));
    if (response.status >= 500) [entry.level, entry.detail] = ['error', 'so says the server behind'];
    return response;
  } catch (error) {
    return inWords(error, request, entry, state.options.base);
  }
}

function requireNoMaintenance({ maintenance }: ServerState, { method }: SyncRequest): void {
  if (maintenance !== undefined && BEGINS_A_SYNC.has(method)) throw new SyncError('MAINTENANCE', maintenance);
}

/** The answer that the person at the client reads, for failures that have one; throws the others again. */
function inWords(error: unknown, { method, version }: SyncRequest, entry: LogEntry, base: string): Promise<HttpResponse> {
  const words = error instanceof SyncError ? inPlainWords(method, error) : undefined;
  if (words === undefined) throw error;
  describeFailure(error, entry, base);
  return packedResponse(version, words);
}
