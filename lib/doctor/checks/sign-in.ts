/** With a user: signs in, asks for the state of the collection and of the media, and changes nothing of either. */
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { right, skipped, wrong, type Finding } from '../finding.ts';
import { isOurs } from '../report.ts';
import { step, syncHeader, type Visit } from '../visit.ts';
import type { Answer } from '../wire.ts';
import { byWhom, quoted } from '../words.ts';
import { envelopeFaults } from './answers.ts';
import { clockFinding } from './clock.ts';

const CHECK = 'sign-in';
const MAX_BYTES = 1024 * 1024;
const CLIENT = 'doctor,anki-sync,doctor';

export async function checkSignIn(visit: Visit): Promise<Finding[]> {
  const { user } = visit.options;
  if (user === undefined) return [skipped(CHECK, 'tried with --user NAME')];
  if (!visit.verify) return [skipped(CHECK, 'no password goes to a server whose certificate is wrong')];
  const answer = await step(visit, 'sync/hostKey', { headers: { 'anki-sync': syncHeader('') }, body: inJson({ u: user.name, p: user.password }) });
  if (answer.status === 403) {
    if (visit.kind === 'ours' && !isOurs(answer)) return [wrong(CHECK, 'PROXY_REFUSES', `403${byWhom(answer.headers)}, and not from the sync server`)];
    return [wrong(CHECK, 'PASSWORD_WRONG', `the server refuses the name or the password of ${quoted(user.name)}`)];
  }
  if (answer.status === 429) return [wrong(CHECK, 'LIMITED', `429${byWhom(answer.headers)}: too many wrong passwords, or a limit of the proxy`)];
  const key = (contentOf(answer) as { key?: unknown } | undefined)?.key;
  if (answer.status !== 200 || typeof key !== 'string') return refused(CHECK, answer);

  const faults = envelopeFaults(answer, []);
  const signedIn = { 'anki-sync': syncHeader(key) };
  const meta = await step(visit, 'sync/meta', { headers: signedIn, body: inJson({ v: 11, cv: CLIENT }) });
  const begin = await step(visit, 'msync/begin', { headers: signedIn, body: inJson({ v: CLIENT }) });
  return [
    ...(faults.length > 0 ? faults : [right(CHECK, `${quoted(user.name)} is signed in; a device named doctor is in the list of devices`)]),
    ...ofMeta(visit, meta),
    ...(begin.status === 200 ? [right('media state', 'comes')] : refused('media state', begin)),
  ];
}

function ofMeta(visit: Visit, meta: Answer): Finding[] {
  const state = contentOf(meta) as { ts?: unknown; cont?: unknown; msg?: unknown } | undefined;
  if (meta.status !== 200 || state === undefined) return refused('collection state', meta);
  const clock = visit.report === undefined && typeof state.ts === 'number' ? [clockFinding(state.ts * 1000, Date.now())] : [];
  if (state.cont === false) return [...clock, wrong('collection state', 'SYNC_REFUSED', `the server lets nobody sync: "${quoted(String(state.msg))}"`)];
  return [...clock, right('collection state', typeof state.msg === 'string' && state.msg !== '' ? `comes, with the words "${quoted(state.msg)}"` : 'comes')];
}

function refused(check: string, answer: Answer): Finding[] {
  const words = isOurs(answer) ? ` "${quoted(answer.body.toString('utf8', 0, 200))}"` : byWhom(answer.headers);
  return [wrong(check, 'SYNC_REFUSED', `${answer.status}${words}`)];
}

function inJson(value: object): Buffer {
  return zstdCompressSync(JSON.stringify(value));
}

/** Undefined where it is no JSON, packed or bare. */
function contentOf({ body }: Answer): unknown {
  for (const unpack of [() => zstdDecompressSync(body, { maxOutputLength: MAX_BYTES }), () => body]) {
    try {
      return JSON.parse(unpack().toString()) ?? undefined;
    } catch {
      // the other way
    }
  }
  return undefined;
}
