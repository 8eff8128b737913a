/** Whether a sync server answers, and if not, who does instead. */
import { DOCTOR_OFF } from '../echo.ts';
import { right, skipped, wrong, type Finding } from '../finding.ts';
import { isOurs, reportIn } from '../report.ts';
import { step, type Visit } from '../visit.ts';
import { NoAnswer, send, type Answer } from '../wire.ts';
import { byWhom, failure, quoted } from '../words.ts';
import { shakeHands } from './certificate.ts';

const CHECK = 'server';

export async function checkServer(visit: Visit): Promise<Finding[]> {
  let answer: Answer;
  try {
    answer = await step(visit, 'sync/doctor');
  } catch (error) {
    visit.over = true;
    if (!(error instanceof NoAnswer)) throw error;
    return [await unanswered(visit, error)];
  }
  const found = reportIn(answer);
  if (found !== undefined) {
    visit.kind = 'ours';
    visit.answer = answer;
    visit.report = found.report;
    return [right(CHECK, `anki-sync ${quoted(found.report.version)} answers`)];
  }
  const kind = await kindOf(visit, answer);
  if (kind !== undefined) {
    visit.kind = kind;
    return kind === 'other-server'
      ? [right(CHECK, 'a sync server answers, which is not anki-sync: some checks need --user, and some are left out')]
      : [right(CHECK, 'anki-sync answers')];
  }
  if (isOurs(answer, 'BUSY')) {
    visit.over = true;
    return [skipped(CHECK, 'anki-sync answers, and is examined too often just now: try again in a minute')];
  }
  visit.over = true;
  return [await elsewhere(visit, answer)];
}

/** By what servers answer to a method that they do not know, and to a key that they did not issue. */
async function kindOf(visit: Visit, answer: Answer): Promise<Exclude<Visit['kind'], 'ours' | 'unknown'> | undefined> {
  if (isOurs(answer, 'METHOD_UNKNOWN')) return answer.body.includes(DOCTOR_OFF) ? 'closed' : 'older';
  if (answer.status !== 400 || isPage(answer)) return undefined;
  try {
    // the official server and its relatives have POST alone there, and GET for their health
    const read = await send({ method: 'GET', url: new URL('sync/meta', visit.base), ca: visit.options.ca, verify: visit.verify });
    const meta = await step(visit, 'sync/meta');
    return read.status === 405 && (meta.status === 403 || meta.status === 400) && !isPage(meta) ? 'other-server' : undefined;
  } catch {
    return undefined;
  }
}

function isPage({ headers, body }: Answer): boolean {
  return /^text\/html\b/.test(headers['content-type'] ?? '') || /^\s*<(!doctype|html)\b/i.test(body.subarray(0, 200).toString());
}

async function unanswered(visit: Visit, error: NoAnswer): Promise<Finding> {
  const speaksTls = visit.base.protocol === 'http:' && (await shakeHands(visit).then(() => true, () => false));
  if (speaksTls) return wrong(CHECK, 'SPEAKS_HTTPS', 'the port speaks https, and was asked by http');
  if (error.code.startsWith('HPE_')) return wrong(CHECK, 'SOMETHING_ELSE', 'what listens there does not speak HTTP');
  if (error.code === 'SILENT') return wrong(CHECK, 'PROXY_TIMEOUT', 'a request is taken, and not answered within 30 seconds');
  return wrong(CHECK, 'SOMETHING_ELSE', `what listens there answers nothing (${failure(error)}): it is no sync server`);
}

async function elsewhere(visit: Visit, answer: Answer): Promise<Finding> {
  const { status, headers, body } = answer;
  const by = byWhom(headers);
  if (status >= 300 && status < 400) return redirected(visit, answer);
  if (/HTTP request (was sent )?to (an )?HTTPS|speaking plain HTTP to an SSL/i.test(body.subarray(0, 2000).toString())) {
    return wrong(CHECK, 'SPEAKS_HTTPS', `the port speaks https, and was asked by http${by}`);
  }
  if (status === 401 || status === 407) return wrong(CHECK, 'LOGIN_PAGE', `${status}${by}: something in front of the server asks for a password of its own`);
  if (status === 403) return wrong(CHECK, 'PROXY_REFUSES', `403${by}, and not from the sync server`);
  if (status === 411) return wrong(CHECK, 'HTTP_1_0', `411${by}: bodies without a length are refused, and Anki's have none`);
  if (status === 413) return wrong(CHECK, 'BODY_LIMIT', `413${by}, to a body of a few bytes`);
  if (status === 429) return wrong(CHECK, 'LIMITED', `429${by}, to the first request`);
  if (status === 408) return wrong(CHECK, 'PROXY_TIMEOUT', `408${by}: the proxy did not wait for the body, or does not understand chunks`);
  if (status === 502 || status === 503 || status === 504 || (status >= 520 && status <= 530)) return wrong(CHECK, 'SERVER_DOWN', `${status}${by}: the proxy does not reach the server`);
  if (isPage(answer) && (status === 200 || status === 203)) {
    const asks = /type=["']?password|sign.?in|log.?in|sso|oauth|openid/i.test(body.subarray(0, 100_000).toString());
    if (asks) return wrong(CHECK, 'LOGIN_PAGE', `a page to sign in comes back${by} in place of the server's answer`);
  }
  const there = await foundAt(visit);
  const hint = there === undefined ? '' : `; the sync server answers at ${there.href}: enter that in Anki`;
  return wrong(CHECK, there === undefined ? 'SOMETHING_ELSE' : 'ADDRESS_NOT_THE_SERVERS', `${status}${by} in place of a sync server's answer${hint}`);
}

function redirected(visit: Visit, { status, headers }: Answer): Finding {
  const asked = new URL('sync/doctor', visit.base);
  const location = headers.location ?? '';
  if (!URL.canParse(location, asked.href)) return wrong(CHECK, 'REDIRECTED', `${status}, to nowhere`);
  const to = new URL(location, asked);
  const place = quoted(to.origin + to.pathname.replace(/sync\/doctor\/?$/, ''));
  const signsIn = /log.?in|sign.?in|auth|sso|saml|oidc/i.test(`${to.hostname}${to.pathname}`);
  if (to.protocol === 'https:' && asked.protocol === 'http:' && !signsIn) {
    return wrong(CHECK, 'HTTPS_REDIRECT', `http is redirected (${status}) to ${place}, which Anki does not follow`);
  }
  if (signsIn || to.hostname !== asked.hostname) return wrong(CHECK, 'LOGIN_PAGE', `requests are redirected (${status}) to ${place}: single sign-on, it seems`);
  return wrong(CHECK, 'REDIRECTED', `requests are redirected (${status}) to ${place}, which Anki does not follow`);
}

/** People enter too much, or leave the path of the proxy out. */
async function foundAt(visit: Visit): Promise<URL | undefined> {
  const segments = visit.base.pathname.split('/').filter((segment) => segment !== '');
  const shorter = segments.map((_, i) => `/${segments.slice(0, i).map((segment) => `${segment}/`).join('')}`).reverse();
  for (const path of [...shorter, `${visit.base.pathname}anki/`]) {
    const base = new URL(path, visit.base);
    const answer = await step({ ...visit, base }, 'sync/doctor', { silentMillis: 5_000 }).catch(() => undefined);
    if (answer !== undefined && (reportIn(answer) !== undefined || isOurs(answer, 'METHOD_UNKNOWN'))) return base;
  }
  return undefined;
}
