/** What each step of the protocol is given, and what most of them do with it. */
import { rm } from 'node:fs/promises';
import type { User } from '../auth/authenticator.ts';
import type { Answer } from '../engine/calls.ts';
import { SyncError } from '../errors.ts';
import type { HttpResponse } from '../http.ts';
import type { CheckedOptions, LogEntry } from '../options.ts';
import type { SyncRequest } from '../protocol/request.ts';
import { fileResponse, packedResponse, zstdResponse } from '../protocol/response.ts';
import type { Tell } from './log-lines.ts';
import type { Rooms } from './rooms.ts';

export interface StepCall {
  rooms: Rooms;
  request: SyncRequest;
  user: User;
  /** The line of the log. */
  entry: LogEntry;
  options: CheckedOptions;
  tell: Tell;
}

export type Step = (call: StepCall) => Promise<HttpResponse>;

/** What the user's thread answered, as the client's version wants it. */
export function responseTo(request: SyncRequest, answer: Answer): HttpResponse | Promise<HttpResponse> {
  if (answer.moved !== undefined) request.moved = answer.moved;
  if (request.method === 'sanityCheck2' && answer.kind === 'bytes') request.sanityFailed = answer.data.toString().startsWith('{"status":"bad"');
  if (answer.kind === 'bytes') return packedResponse(request.version, answer.data, request.method === 'download' ? 'collection' : 'answer');
  if (answer.kind === 'packed') return zstdResponse(answer);
  return fileResponse(request.version, answer, {
    done: () => rm(answer.path, { force: true }),
  });
}

/** A body may take hours. Whoever was signed out or removed meanwhile, perhaps to give the name to somebody else, changes nothing any more. */
export async function requireStillSignedIn({ rooms, request, user }: Pick<StepCall, 'rooms' | 'request' | 'user'>): Promise<void> {
  const now = await rooms.hostKeys.resolve(request.hostKey);
  if (now?.id !== user.id) throw new SyncError('HOST_KEY_UNKNOWN', 'the host key ended during the request: sign in again');
}
