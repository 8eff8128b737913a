import { MAX_APP_PASSWORDS } from '../../auth/app-passwords.ts';
import type { IssuedKey } from '../../auth/host-keys.ts';
import type { UserEntry } from '../../auth/sqlite-users.ts';
import { bytesIn, sizeText } from '../../byte-sizes.ts';
import { deviceName } from '../../auth/device-name.ts';
import { failureOf } from '../failures.ts';
import type { Form } from '../forms.ts';
import { bytes, count, moment } from '../formats.ts';
import { html, type Fragment, type Html } from '../html.ts';
import { csrfField } from '../layout.ts';
import { newPassword } from '../new-password.ts';
import { overviewOf } from '../overview.ts';
import { PageError } from '../page-error.ts';
import type { AccountRoom, Page, Reply, SignedInVisit } from '../room.ts';
import { marksOf, tellOf } from './users.ts';

async function userOf({ users }: AccountRoom, { path }: SignedInVisit): Promise<UserEntry> {
  const user = await users.byId(path[1]!);
  if (user === null) throw new PageError(404, 'There is no such user any more.');
  return user;
}

export async function userPage(room: AccountRoom, visit: SignedInVisit): Promise<Page> {
  return pageFor(room, visit, await userOf(room, visit));
}

async function pageFor(room: AccountRoom, visit: SignedInVisit, user: UserEntry, failure?: PageError): Promise<Page> {
  const overview = await overviewOf(room, user, 0);
  const devices = await room.hostKeys.list(user.id);
  const appPasswords = (await room.appPasswords?.list(user.id)) ?? [];
  const error = room.lastErrors.of(user.loginName);
  const { collection, media } = typeof overview === 'string' ? {} : overview;
  const instead = overview === 'syncing' ? 'syncing now' : overview === 'failed' ? 'cannot be read: see the log' : 'none';
  const known = <T>(value: T | null | undefined, show: (value: T) => Fragment): Fragment => (value === undefined || value === null ? instead : show(value));
  const marks = marksOf(room, user);
  const quota = await room.quotas.of(user);
  return {
    title: `User ${user.loginName}`,
    ...(failure === undefined ? {} : { status: failure.status, notice: { kind: 'failed', words: html`<p>${failure.message}</p>` } }),
    body: html`<p><a href="${visit.home}/users">All users</a></p>
<dl>
${marks.length > 0 && html`<dt>Is</dt><dd>${marks.join(', ')}</dd>
`}<dt>Signs in</dt><dd>${user.hasPassword ? 'with a password of this server' : user.provider ?? 'elsewhere'}</dd>
<dt>Here since</dt><dd>${moment(user.createdSecs * 1000)}</dd>
<dt>Size of the cards</dt><dd>${known(collection, (each) => bytes(each.bytes))}</dd>
<dt>Media</dt><dd>${known(media, (each) => `${count(each.fileCount, 'file')}, ${bytes(each.totalBytes)}`)}</dd>
${room.holdsData && html`<dt>May have</dt><dd>${`${quotaWords('cards', quota.maxCollectionBytes, user.quota?.maxCollectionBytes)}, `
    + quotaWords('media', quota.maxMediaBytes, user.quota?.maxMediaBytes)}</dd>
`}<dt>App passwords</dt><dd>${appPasswords.length} of at most ${MAX_APP_PASSWORDS}</dd>
<dt>Last error</dt><dd>${error === undefined ? 'none since the start of the server' : html`${error.code} in ${error.request}, ${moment(error.atMillis)}`}</dd>
<dt>Devices</dt><dd>${devices.length === 0 ? 'none' : devices.map(deviceLine)}</dd>
</dl>
${user.id === visit.session.user.id
    ? html`<p>This is you. Another administrator can change your account, or <code>anki-sync user</code> at the command line.</p>`
    : changes(room, visit, user)}
`,
  };
}

function deviceLine({ client, lastSyncSecs }: IssuedKey): Html {
  return html`${deviceName(client)}, ${lastSyncSecs === undefined ? 'has not synced' : html`last sync ${moment(lastSyncSecs * 1000)}`}<br>`;
}

function quotaWords(what: string, most: number | undefined, own: number | undefined): string {
  return `${what} ${most === undefined ? 'without limit' : `up to ${bytes(most)}`}${own === undefined ? '' : ' (this user alone)'}`;
}

function changes(room: AccountRoom, visit: SignedInVisit, user: UserEntry): Html {
  const form = (change: string, body: Html): Html => html`<form method="post" action="${visit.home}/users/${user.id}/change">${csrfField(visit)}
<input type="hidden" name="change" value="${change}">${body}</form>`;
  return html`<section aria-labelledby="keys">
<h2 id="keys">Sign out</h2>
<p>All devices and browsers have to sign in again.</p>
${form('sign-out', html`<button class="danger">Sign out everywhere</button>`)}
</section>
<section aria-labelledby="access">
<h2 id="access">${user.disabled ? 'Enable' : 'Disable'}</h2>
${user.disabled
    ? html`<p>The user cannot sign in or sync.</p>${form('enable', html`<button>Enable</button>`)}`
    : html`<p>The user can neither sign in nor sync until somebody enables the account again.</p>${form('disable', html`<button class="danger">Disable</button>`)}`}
</section>
${room.holdsData && html`<section aria-labelledby="quota">
<h2 id="quota">Quota</h2>
${form('quota', html`<label for="collection-size">Most for the cards</label>
<input id="collection-size" name="collection" maxlength="30" autocomplete="off" aria-describedby="quota-hint" value="${sizeField(user.quota?.maxCollectionBytes)}">
<label for="media-size">Most for the media</label>
<input id="media-size" name="media" maxlength="30" autocomplete="off" aria-describedby="quota-hint" value="${sizeField(user.quota?.maxMediaBytes)}">
<p class="quiet" id="quota-hint">Such as 200 MiB or 2 GiB; <b>off</b> for no limit. Leave it empty for what all users may have.</p>
<button>Set quota</button>`)}
</section>
`}${user.hasPassword && html`<section aria-labelledby="reset">
<h2 id="reset">New password</h2>
${form('password', html`<label for="new-password">Password</label>
<input id="new-password" name="password" type="password" maxlength="1024" autocomplete="new-password" aria-describedby="password-hint">
<p class="quiet" id="password-hint">Leave it empty, and one is made up and shown once. The user's devices have to sign in again.</p>
<button>Set password</button>`)}
</section>
`}<section aria-labelledby="remove">
<h2 id="remove">Remove</h2>
<p>Ends the account. Cards and media stay on the disk, in the folder <b><bdi>${user.folder}</bdi></b>, and whoever gets this user name next gets
them: move or delete the folder first. Who comes from a directory, a provider, a portal or the environment can sign in again: disable them instead.</p>
${form('remove', html`<label for="confirm">The user name, to confirm</label>
<input id="confirm" name="confirm" required maxlength="255" autocomplete="off" autocapitalize="none" spellcheck="false">
<button class="danger">Remove user</button>`)}
</section>
`;
}

/** @throws PageError */
function sizeOf(text: string): number | null {
  const word = text.trim().toLowerCase();
  if (word === '') return null;
  if (word === 'off') return 0;
  const size = bytesIn(word);
  if (size === undefined) throw new PageError(400, 'A quota is a size, such as 200 MiB or 2 GiB; or off; or nothing.');
  return size;
}

function sizeField(own: number | undefined): string {
  if (own === undefined) return '';
  return own === 0 ? 'off' : sizeText(own);
}

/** What an administrator does to a user. Answers what to say afterwards. */
const CHANGES: Readonly<Record<string, (room: AccountRoom, user: UserEntry, form: Form) => Promise<Html>>> = {
  async 'sign-out'({ hostKeys, sessions }, { id }) {
    const ended = await hostKeys.revoke(id);
    await sessions.endAll(id);
    return html`<p>Signed out: ${count(ended, 'device')}, and all browsers.</p>`;
  },
  async disable({ users }, { loginName }) {
    await users.disable(loginName);
    return html`<p>The account is disabled.</p>`;
  },
  async enable({ users }, { loginName }) {
    await users.enable(loginName);
    return html`<p>The account is enabled.</p>`;
  },
  async password({ users }, { loginName, hasPassword }, form) {
    if (!hasPassword) throw new PageError(400, 'The password of this user is not kept here.');
    const typed = form.text('password');
    const password = typed === '' ? newPassword() : typed;
    await users.setPassword(loginName, password);
    return html`<p>The password is changed.</p>
${typed === '' && html`<p>It is shown only once:</p>
<code class="secret" data-copy="the password">${password}</code>`}`;
  },
  async quota({ users }, { loginName }, form) {
    const [collectionBytes, mediaBytes] = [sizeOf(form.text('collection')), sizeOf(form.text('media'))];
    await users.setQuota(loginName, { collectionBytes, mediaBytes });
    return html`<p>The quota is set, from the next sync on.</p>`;
  },
  async remove({ users }, { loginName }, form) {
    if (form.text('confirm').normalize('NFC').trim() !== loginName) {
      throw new PageError(400, 'To confirm, please type the user name exactly as it is shown.');
    }
    const { keptFolder } = await users.remove(loginName);
    return html`<p>Removed <b><bdi>${loginName}</bdi></b>.${keptFolder !== null && ' The cards and media stay on the disk.'}</p>`;
  },
};

export async function changeUser(room: AccountRoom, visit: SignedInVisit, form: Form): Promise<Reply> {
  const user = await userOf(room, visit);
  const name = form.text('change');
  const change = Object.hasOwn(CHANGES, name) ? CHANGES[name] : undefined;
  if (change === undefined) throw new PageError(400, 'There is nothing of that kind to change.');
  if (user.id === visit.session.user.id) throw new PageError(400, 'Nobody changes their own account here.');
  try {
    const words = await change(room, user, form);
    tellOf(room, visit, `${name}: ${user.loginName}`);
    return { goTo: name === 'remove' ? 'users' : `users/${user.id}`, notice: { kind: 'done', words } };
  } catch (error) {
    const failure = failureOf(error);
    if (failure.status >= 500) throw error;
    return pageFor(room, visit, user, failure);
  }
}
