import type { UserEntry } from '../../auth/sqlite-users.ts';
import { failureOf } from '../failures.ts';
import type { Form } from '../forms.ts';
import { bytes, moment } from '../formats.ts';
import { html, type Html } from '../html.ts';
import { csrfField } from '../layout.ts';
import { newPassword } from '../new-password.ts';
import { overviewOf } from '../overview.ts';
import type { PageError } from '../page-error.ts';
import type { AccountRoom, Page, Reply, SignedInVisit } from '../room.ts';

/** Each opens a collection. */
const USERS_ON_A_PAGE = 25;
const OPENED_AT_ONCE = 2;

export function usersPage(room: AccountRoom, visit: SignedInVisit): Promise<Page> {
  return pageFor(room, visit, {});
}

async function pageFor(room: AccountRoom, visit: SignedInVisit, { name = '', failure }: { name?: string; failure?: PageError }): Promise<Page> {
  const wanted = visit.query.get('name') ?? '';
  const { count } = await room.users.search(wanted.trim(), 0, 0);
  const pages = Math.max(1, Math.ceil(count / USERS_ON_A_PAGE));
  const page = Math.min(pages, Math.max(1, Math.trunc(Number(visit.query.get('page')) || 1)));
  const { users } = await room.users.search(wanted.trim(), USERS_ON_A_PAGE, (page - 1) * USERS_ON_A_PAGE);
  const rows = await inTurn(users, OPENED_AT_ONCE, (each) => rowOf(room, visit, each));
  const link = (number: number, words: string): Html =>
    html`<li><a href="${visit.home}/users?page=${number}${wanted !== '' && `&name=${encodeURIComponent(wanted.toWellFormed())}`}">${words}</a></li>`;
  return {
    title: 'Users',
    ...(failure === undefined ? {} : { status: failure.status, notice: { kind: 'failed', words: html`<p>${failure.message}</p>` } }),
    body: html`<form method="get" action="${visit.home}/users" role="search">
<label for="find">Find by name</label>
<input id="find" name="name" type="search" maxlength="255" autocomplete="off" value="${wanted}">
<button class="plain">Find</button>
</form>
<section aria-labelledby="all">
<h2 id="all">${count} ${count === 1 ? 'user' : 'users'}${wanted !== '' && ' found'}</h2>
${rows.length > 0 && html`<div class="scroll"><table>
<thead><tr><th scope="col">User</th><th scope="col">Devices</th><th scope="col">Last sync</th><th scope="col" class="number">Cards</th>
<th scope="col" class="number">Media</th><th scope="col">Last error</th></tr></thead>
<tbody>
${rows}</tbody>
</table></div>`}
${pages > 1 && html`<nav aria-label="Pages"><ul>
${page > 1 && link(page - 1, 'Previous page')}<li>Page ${page} of ${pages}</li>${page < pages && link(page + 1, 'Next page')}
</ul></nav>`}
<p class="quiet">Who signs in through a directory, a provider, a portal or the environment appears here after the first sign-in. Errors are those since
the start of the server.</p>
</section>
${room.hasLocalUsers && html`<section aria-labelledby="new">
<h2 id="new">Add a user</h2>
<form method="post" action="${visit.home}/users">
${csrfField(visit)}
<label for="user">User name</label>
<input id="user" name="user" required maxlength="255" autocomplete="off" autocapitalize="none" spellcheck="false" value="${name}">
<label for="new-password">Password</label>
<input id="new-password" name="password" type="password" maxlength="1024" autocomplete="new-password" aria-describedby="password-hint">
<p class="quiet" id="password-hint">Leave it empty, and one is made up and shown once.</p>
<button>Add user</button>
</form>
</section>
`}`,
  };
}

async function rowOf(room: AccountRoom, { home }: SignedInVisit, user: UserEntry): Promise<Html> {
  const overview = await overviewOf(room, user, 0);
  const devices = await room.hostKeys.list(user.id);
  const lastSyncSecs = Math.max(0, ...devices.map((device) => device.lastSyncSecs ?? 0));
  const error = room.lastErrors.of(user.loginName);
  const instead = overview === 'syncing' ? 'syncing' : overview === 'failed' ? 'unreadable' : '–';
  const size = (number: number | undefined): string => (number === undefined ? instead : bytes(number));
  const { collection, media } = typeof overview === 'string' ? {} : overview;
  const { maxCollectionBytes = Infinity, maxMediaBytes = Infinity } = await room.quotas.of(user);
  const isOver = (collection?.bytes ?? 0) > maxCollectionBytes || (media?.totalBytes ?? 0) > maxMediaBytes;
  const marks = [...marksOf(room, user), ...(isOver ? ['over the quota'] : [])].map((mark) => html`<br><span class="quiet">${mark}</span>`);
  return html`<tr><th scope="row"><a href="${home}/users/${user.id}"><bdi>${user.loginName}</bdi></a>${marks}</th>
<td>${devices.length}</td><td>${lastSyncSecs === 0 ? 'none known' : moment(lastSyncSecs * 1000)}</td>
<td class="number">${size(collection?.bytes)}</td><td class="number">${size(media?.totalBytes)}</td>
<td>${error === undefined ? 'none' : html`${error.code}, ${moment(error.atMillis)}`}</td></tr>
`;
}

export function marksOf(room: AccountRoom, user: UserEntry): string[] {
  return [user.disabled ? 'disabled' : '', room.isAdmin(user) ? 'administrator' : ''].filter((mark) => mark !== '');
}

export async function addUser(room: AccountRoom, visit: SignedInVisit, form: Form): Promise<Reply> {
  const name = form.text('user');
  const typed = form.text('password');
  const password = typed === '' ? newPassword() : typed;
  try {
    const { user, folderExisted } = await room.users.add(name, password);
    tellOf(room, visit, `added ${user.loginName}`);
    return {
      goTo: 'users',
      notice: {
        kind: 'done',
        words: html`<p>Added <b><bdi>${user.loginName}</bdi></b>${folderExisted && ', with the cards that are in the folder of this name already'}.</p>
${typed === '' && html`<p>The password is shown only once:</p>
<code class="secret" data-copy="the password">${password}</code>`}`,
      },
    };
  } catch (error) {
    const failure = failureOf(error);
    if (failure.status >= 500) throw error;
    return pageFor(room, visit, { name: name.slice(0, 255), failure });
  }
}

/** Who did it. What was done is in the log by itself. */
export function tellOf(room: AccountRoom, { session, http }: SignedInVisit, detail: string): void {
  const address = http.clientAddress;
  const from = address === undefined ? {} : { address };
  room.tell({ level: 'info', request: 'account page', status: 200, ms: 0, user: session.user.loginName, ...from, detail });
}

async function inTurn<T, R>(all: readonly T[], atOnce: number, run: (each: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < all.length) {
      const index = next;
      next += 1;
      results[index] = await run(all[index]!);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return results;
}
