/** What an answer may be, and what it means for the user's sync and data. */
import { ERROR_STATUS, type ErrorCode } from '../../lib/errors.ts';
import { isOutside, mustBeRefused, type FuzzCase } from './cases.ts';
import { SYNC_STEPS } from './draft.ts';
import { PASSWORD_MARK } from './target.ts';
import { unpacked } from './user.ts';
import type { WireAnswer } from './wire.ts';

export interface Before {
  /** Session key of the sync that runs. */
  running: string | null;
  /** The one that the request was made with. */
  sessionKey: string;
  removed: boolean;
  copies: number;
  malformed: boolean;
  /** An answer to HEAD: without a body. */
  headOnly: boolean;
}

export interface Verdict {
  faults: string[];
  /** Session key of the sync that runs now; undefined: it cannot be known. */
  running: string | null | undefined;
  /** Something may have been kept for good. */
  committed: boolean;
  /** The method did what it is for. */
  accepted: boolean;
}

/** Whatever answers an upload with 200 and is not OK: it was refused. */
const REFUSED_UPLOAD = /^(Your upload was corrupt|collection exceeds|This collection was made by a newer)/;
/** Answers of node:http itself, to what is no proper request. */
const BARE = new Set([400, 408, 413, 417, 431, 505]);
const COMMITTING = new Set(['finish', 'upload', 'download', 'uploadChanges']);
const JSON_ANSWERS = new Set(['hostKey', 'meta', 'start', ...SYNC_STEPS, 'abort', 'begin', 'mediaChanges', 'uploadChanges', 'mediaSanity']);

export function judge(one: FuzzCase, answer: WireAnswer, before: Before, keys: readonly string[]): Verdict {
  const { method } = one;
  const outside = isOutside(one);
  const faults: string[] = [];
  const version = answer.headers['anki-original-size'] === undefined ? 'old' : 'new';
  let body = answer.body;
  try {
    body = unpacked(answer);
    if (version === 'new' && body.length !== Number(answer.headers['anki-original-size'])) faults.push('anki-original-size is wrong');
  } catch {
    faults.push('the answer cannot be unpacked');
  }
  const text = body.toString('latin1');
  const { status } = answer;
  const code = codeOf(text);

  if (status >= 400) {
    const bare = body.length === 0 && BARE.has(status);
    if (!bare && (code === undefined || ERROR_STATUS[code] !== status)) {
      if (!before.headOnly) faults.push(`status ${status} with "${text.slice(0, 100)}", which is in no table`);
    }
    if (bare && !outside && !before.malformed) faults.push(`status ${status} without a word`);
  } else if (status !== 200 && status !== 0) {
    faults.push(`status ${status}`);
  }
  const due = (code === 'CLIENT_TOO_OLD' && (method === 'meta' || outside)) || (code === 'BUSY' && before.copies > 1);
  if (status >= 500 && !due) faults.push(`status ${status} ${text.slice(0, 100)}`);
  if (code === 'PASSWORD_WRONG' && method !== 'hostKey' && !outside) faults.push('a wrong password without a password');
  if (code === 'HOST_KEY_UNKNOWN' && !outside && !before.removed) faults.push('403 to a valid key');

  const refused = status !== 200 || (method === 'upload' && REFUSED_UPLOAD.test(text));
  if (!refused) {
    if (mustBeRefused(one)) faults.push(`accepted: ${text.slice(0, 100)}`);
    if (before.removed && method !== 'hostKey' && !outside) faults.push('accepted from a user who was removed');
    const step = (SYNC_STEPS as readonly string[]).includes(method);
    const sameSession = !one.chosen.some(({ mutation }) => mutation.name === 'another session key' || mutation.name === 'no session key' || mutation.stage === 'http');
    if (step && !outside && sameSession && before.running !== before.sessionKey) faults.push('a step without its sync is accepted');
    if (!outside && JSON_ANSWERS.has(method) && method !== 'sanityCheck2') isJson(text, faults);
  }
  const tellsKey = status === 200 && (outside || method === 'hostKey' || method === 'begin');
  if (!tellsKey && keys.some((key) => text.includes(key))) faults.push('the answer has a host key');
  if (body.includes(PASSWORD_MARK)) faults.push('the answer has the password');

  return { faults, accepted: !refused, ...consequences(one, { status, code, text, refused, outside }, before) };
}

function consequences(
  { method, chosen }: FuzzCase,
  answer: { status: number; code: ErrorCode | undefined; text: string; refused: boolean; outside: boolean },
  { running, sessionKey, copies }: Before,
): { running: string | null | undefined; committed: boolean } {
  const { status, code, text, refused, outside } = answer;
  if (copies > 1 || status === 0) return { running: undefined, committed: true };
  if (!refused && outside) return { running: undefined, committed: true };
  if (refused) {
    // what does not fit rolls back; what is too large to be looked at does not
    if (code === 'STEP_FAILED' && !text.includes('too large for a normal sync')) return { running: null, committed: false };
    if (code === 'NOTETYPE_CHANGED' || code === 'CLIENT_TOO_OLD') return { running: null, committed: false };
    return { running, committed: false };
  }
  if (chosen.some(({ mutation }) => mutation.name === 'another session key' || mutation.name === 'no session key')) {
    return { running: undefined, committed: COMMITTING.has(method) };
  }
  const ends = ['meta', 'abort', 'upload', 'download', 'finish'].includes(method) || (method === 'sanityCheck2' && text.includes('"bad"'));
  const now = method === 'start' ? sessionKey : ends ? null : running;
  return { running: status === 200 ? now : running, committed: COMMITTING.has(method) };
}

function codeOf(text: string): ErrorCode | undefined {
  const word = /^[A-Z_]+/.exec(text)?.[0];
  return word !== undefined && Object.hasOwn(ERROR_STATUS, word) ? (word as ErrorCode) : undefined;
}

function isJson(text: string, faults: string[]): void {
  try {
    JSON.parse(text);
  } catch {
    faults.push(`the answer is no JSON: ${text.slice(0, 60)}`);
  }
}
