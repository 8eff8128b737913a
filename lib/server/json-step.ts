/** Steps whose body is JSON: all but `upload`, `download`, `uploadChanges` and `abort`. */
import { MAX_STRING_CHARS, type Answer, type JsonStep } from '../engine/calls.ts';
import { SyncError } from '../errors.ts';
import type { HttpResponse } from '../http.ts';
import { readJsonBody } from '../protocol/json-body.ts';
import { SYNC_VERSIONS } from '../protocol/version.ts';
import { given } from './given.ts';
import { placeOf } from './rooms.ts';
import { requireStillSignedIn, responseTo, type StepCall } from './step.ts';

/** A body that takes longer may have been held back on purpose, by a device that is signed out meanwhile. */
const SLOW_BODY_MILLIS = 1_000;

export interface JsonStepOptions {
  /** Gets the body before the user's thread does. */
  heard?: (body: Buffer) => void;
  /** Gets the thread's answer before the client does. */
  answered?: (answer: Answer) => void;
  /** Of `meta`. */
  maxCollectionBytes?: number | undefined;
}

export async function jsonStep(step: JsonStep, call: StepCall, { heard, answered, maxCollectionBytes }: JsonStepOptions = {}): Promise<HttpResponse> {
  const { rooms, request, user, options } = call;
  try {
    const askedMillis = performance.now();
    const body = await readJsonBody(request, options.limits);
    if (performance.now() - askedMillis > SLOW_BODY_MILLIS) await requireStillSignedIn(call);
    heard?.(body);
    request.receivedBytes = body.length;
    const { sessionKey, hostKey } = request;
    const answer = await rooms.engine.run({
      step,
      user: placeOf(user),
      sessionKey,
      body: body.length <= MAX_STRING_CHARS ? body.toString() : body,
      // `begin` hands it back in place of a media session key
      ...(step === 'begin' ? { hostKey } : {}),
      packs: SYNC_VERSIONS[request.version].zstdAnswer,
      ...given({ maxCollectionBytes }),
    });
    answered?.(answer);
    return await responseTo(request, answer);
  } catch (error) {
    // 413 is a "network error" to clients, over and over; at 400 they ask for a one-way sync, which helps
    if (request.spec.needsSessionKey && error instanceof SyncError && error.code === 'BODY_TOO_LARGE') {
      throw new SyncError('STEP_FAILED', 'too large for a normal sync: a one-way sync is needed', { detail: error.message });
    }
    throw error;
  }
}
