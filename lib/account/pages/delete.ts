import { SyncError } from '../../errors.ts';
import { failureOf } from '../failures.ts';
import type { Form } from '../forms.ts';
import { bytes, count } from '../formats.ts';
import { html, type Html } from '../html.ts';
import { csrfField } from '../layout.ts';
import { placeOf } from '../overview.ts';
import { PageError } from '../page-error.ts';
import type { AccountRoom, Page, Reply, SignedInVisit } from '../room.ts';
import { signedIn } from './sign-in.ts';

type Proof = 'password' | 'fresh' | 'sign in again' | 'impossible';

/** How the person at the browser shows that it is still them. */
function proofOf({ takesPasswords, confirmations }: AccountRoom, { session, token }: SignedInVisit): Proof {
  if (session.via.startsWith('oidc:')) return confirmations.has(token) ? 'fresh' : 'sign in again';
  return takesPasswords ? 'password' : 'impossible';
}

export function deletePage(room: AccountRoom, visit: SignedInVisit): Page {
  return pageFor(room, visit, {});
}

function pageFor(room: AccountRoom, visit: SignedInVisit, { confirm = '', failure }: { confirm?: string; failure?: PageError }): Page {
  const { user } = visit.session;
  const { maxCount, maxBytes } = room.snapshots;
  return {
    title: 'Delete your data',
    narrow: true,
    ...(failure === undefined ? {} : { status: failure.status, notice: { kind: 'failed', words: html`<p>${failure.message}</p>` } }),
    body: html`<p>This takes all your cards, decks, reviews and media away from this server, and signs out all your devices. Your account stays. So do the
cards on your devices: if you sign one in again and choose to upload, they come back.</p>
<p>What was there is kept once more as a <b>snapshot</b>, beside those of earlier uploads: cards without media, in a folder that only the administrator of this
server can read. At most ${count(Math.max(1, maxCount), 'snapshot')} and ${bytes(maxBytes)} of yours stay there, and the newest, whatever its size, until later
uploads replace them. Backups of the server may hold your data too. Ask the administrator to remove all these.</p>
${formFor(room, visit, confirm)}
<p><a href="${visit.home}/collection">Keep everything</a></p>
<p class="quiet">Signed in as <bdi>${user.loginName}</bdi>.</p>
`,
  };
}

function formFor(room: AccountRoom, visit: SignedInVisit, confirm: string): Html {
  const { home, session } = visit;
  const proof = proofOf(room, visit);
  if (proof === 'impossible') {
    return html`<p>This server cannot ask for a password of yours, so it cannot know that it is you. Ask its administrator to delete your data.</p>`;
  }
  if (proof === 'sign in again') {
    const provider = room.oidc?.get(session.via.slice('oidc:'.length));
    return html`<p>So that nobody else does this in your browser, <a href="${home}/oidc/${provider?.id}/confirm">sign in at ${provider?.name} once more</a>. You
come back here, and have ten minutes then.</p>`;
  }
  return html`<form method="post" action="${home}/delete">
${csrfField(visit)}
<label for="confirm">Your user name, to confirm</label>
<input id="confirm" name="confirm" required autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="255" value="${confirm}">
${proof === 'password' && html`<label for="password">Your password</label>
<input id="password" name="password" type="password" required autocomplete="current-password" maxlength="1024">
`}<button class="danger">Delete all my data</button>
</form>`;
}

export async function deleteData(room: AccountRoom, visit: SignedInVisit, form: Form): Promise<Reply> {
  const { user, via, signedInSecs } = visit.session;
  const confirm = form.text('confirm');
  try {
    await requireProof(room, visit, form);
  } catch (error) {
    const failure = failureOf(error);
    if (failure.status >= 500) throw error;
    visit.entry.code = failure.code ?? 'BODY_INVALID';
    return pageFor(room, visit, { confirm: confirm.slice(0, 255), failure });
  }
  // a server that is too busy says so before anything has changed
  const place = room.engine.reserve(placeOf(user));
  try {
    // first, so that no device brings anything back meanwhile
    for (const { id } of (await room.appPasswords?.list(user.id)) ?? []) await room.appPasswords!.revoke(user.id, id);
    await room.hostKeys.revoke(user.id);
    await place.run({ step: 'erase', user: placeOf(user) });
  } finally {
    place.leave();
  }
  visit.entry.event = 'data.deleted';
  await room.sessions.endAll(user.id);
  const { cookie } = await signedIn(room, visit, user, via, signedInSecs);
  return { goTo: 'collection', cookie: cookie!, notice: { kind: 'done', words: html`<p>Your data are deleted, and your devices are signed out.</p>` } };
}

async function requireProof(room: AccountRoom, visit: SignedInVisit, form: Form): Promise<void> {
  const { user } = visit.session;
  const proof = proofOf(room, visit);
  if (proof === 'impossible' || proof === 'sign in again') throw new PageError(403, 'Please sign in again first.');
  if (form.text('confirm').normalize('NFC').trim() !== user.loginName) {
    throw new PageError(400, 'To confirm, please type your user name exactly as it is shown.');
  }
  if (proof === 'fresh') return;
  const address = visit.http.clientAddress;
  const from = address === undefined ? {} : { clientAddress: address };
  try {
    const proven = await room.signIn.user({ username: user.loginName, password: form.text('password'), at: 'page', ...from }, visit.http.signal);
    if (proven.id === user.id) return;
  } catch (error) {
    if (!(error instanceof SyncError) || error.code !== 'PASSWORD_WRONG') throw error;
  }
  throw new PageError(403, 'This is not your password.', { code: 'PASSWORD_WRONG' });
}
