import type { AppPassword, AppPasswords } from '../../auth/app-passwords.ts';
import { failureOf } from '../failures.ts';
import type { Form } from '../forms.ts';
import { day, moment } from '../formats.ts';
import { html, type Html } from '../html.ts';
import { csrfField } from '../layout.ts';
import { PageError } from '../page-error.ts';
import type { AccountRoom, Page, Reply, SignedInVisit } from '../room.ts';

const EXPIRY_DAYS: readonly (readonly [value: string, words: string])[] = [
  ['', 'when I revoke it'],
  ['30', 'after 30 days'],
  ['90', 'after 90 days'],
  ['365', 'after a year'],
];

function keptBy({ appPasswords }: AccountRoom): AppPasswords {
  if (appPasswords === undefined) throw new PageError(404, 'This server takes no app passwords.');
  return appPasswords;
}

export function appPasswordsPage(room: AccountRoom, visit: SignedInVisit): Promise<Page> {
  return pageFor(room, visit, {});
}

async function pageFor(
  room: AccountRoom,
  visit: SignedInVisit,
  { name = '', expires = '', failure }: { name?: string; expires?: string; failure?: PageError },
): Promise<Page> {
  const all = await keptBy(room).list(visit.session.user.id);
  return {
    title: 'App passwords',
    ...(failure === undefined ? {} : { status: failure.status, notice: { kind: 'failed', words: html`<p>${failure.message}</p>` } }),
    body: html`<p>An app password signs one of your devices in to sync, and does nothing else. Make one for each device: then you can end each of them alone.</p>
<section aria-labelledby="new">
<h2 id="new">New app password</h2>
<form method="post" action="${visit.home}/app-passwords">
${csrfField(visit)}
<label for="name">Name</label>
<input id="name" name="name" required maxlength="100" autocomplete="off" aria-describedby="name-hint" value="${name}">
<p class="quiet" id="name-hint">For you to know it by, such as “my phone”.</p>
<label for="expires">It ends</label>
<select id="expires" name="expires">
${EXPIRY_DAYS.map(([value, words]) => html`<option value="${value}"${value === expires && html` selected`}>${words}</option>
`)}</select>
<button>Create app password</button>
</form>
</section>
<section aria-labelledby="all">
<h2 id="all">Your app passwords</h2>
${all.length === 0 ? html`<p>There are none yet.</p>` : html`<div class="scroll"><table>
<thead><tr><th scope="col">Name</th><th scope="col">Created</th><th scope="col">Last used to sign in</th><th scope="col">Ends</th><td></td></tr></thead>
<tbody>
${all.map((each) => rowOf(visit, each))}</tbody>
</table></div>`}
</section>
`,
  };
}

function rowOf(visit: SignedInVisit, { id, name, createdSecs, expiresSecs, lastUsedSecs }: AppPassword): Html {
  const hasEnded = expiresSecs !== undefined && expiresSecs * 1000 <= Date.now();
  const ends = expiresSecs === undefined ? html`when revoked` : hasEnded ? html`ended ${day(expiresSecs * 1000)}` : day(expiresSecs * 1000);
  return html`<tr><th scope="row"><bdi>${name}</bdi></th><td>${moment(createdSecs * 1000)}</td>
<td>${lastUsedSecs === undefined ? 'never' : moment(lastUsedSecs * 1000)}</td><td>${ends}</td>
<td><form method="post" action="${visit.home}/app-passwords/revoke">${csrfField(visit)}<input type="hidden" name="id" value="${id}">
<button class="danger" aria-label="Revoke ${name}">Revoke</button></form></td></tr>
`;
}

export async function createAppPassword(room: AccountRoom, visit: SignedInVisit, form: Form): Promise<Reply> {
  const [name, expires] = [form.text('name'), form.text('expires')];
  const { user } = visit.session;
  try {
    if (!EXPIRY_DAYS.some(([value]) => value === expires)) throw new PageError(400, 'Please choose from the list when the app password ends.');
    const days = Number(expires);
    const ends = days === 0 ? {} : { expiresSecs: Math.floor(Date.now() / 1000) + days * 86_400 };
    const { password } = await keptBy(room).create(user.id, { name, ...ends });
    return {
      goTo: 'app-passwords',
      notice: {
        kind: 'done',
        words: html`<h2>Your new app password</h2>
<p>Enter it in Anki now, as the password of <b><bdi>${user.loginName}</bdi></b>. It is shown only once.</p>
<code class="secret" data-copy="the app password">${password}</code>
<p class="quiet">Capitals, spaces and hyphens do not count.</p>`,
      },
    };
  } catch (error) {
    const failure = failureOf(error);
    if (failure.status >= 500) throw error;
    return pageFor(room, visit, { name: name.slice(0, 200), expires, failure });
  }
}

export async function revokeAppPassword(room: AccountRoom, visit: SignedInVisit, form: Form): Promise<Reply> {
  const revoked = await keptBy(room).revoke(visit.session.user.id, form.text('id'));
  return {
    goTo: 'app-passwords',
    notice: revoked
      ? { kind: 'done', words: html`<p>The app password is revoked. Devices that signed in with it are signed out.</p>` }
      : { kind: 'failed', words: html`<p>There is no such app password any more.</p>` },
  };
}
