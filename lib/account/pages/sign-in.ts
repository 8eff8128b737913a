import { appPasswordLetters } from '../../auth/app-passwords.ts';
import { loginNameOrNull } from '../../auth/login-names.ts';
import type { User } from '../../auth/authenticator.ts';
import { SyncError } from '../../errors.ts';
import { loginEvent } from '../../auth/login-event.ts';
import { newToken } from '../cookies.ts';
import { failureOf } from '../failures.ts';
import type { Form } from '../forms.ts';
import { html } from '../html.ts';
import { csrfField } from '../layout.ts';
import { PageError } from '../page-error.ts';
import type { AccountRoom, Page, Redirect, Reply, SignedInVisit, Visit } from '../room.ts';
import type { SignedInVia } from '../sessions.ts';

export function signInPage(room: AccountRoom, visit: Visit): Reply {
  return visit.session === undefined ? pageFor(room, visit, {}) : { goTo: '' };
}

/** @param typed what stays in the form; never a password */
function pageFor({ oidc, takesPasswords }: AccountRoom, visit: Visit, { user = '', failure }: { user?: string; failure?: PageError }): Page {
  const { home } = visit;
  const providers = oidc?.list ?? [];
  return {
    title: 'Sign in',
    narrow: true,
    ...(failure === undefined ? {} : { status: failure.status, notice: { kind: 'failed', words: html`<p>${failure.message}</p>` } }),
    body: html`${takesPasswords && html`<form method="post" action="${home}/sign-in">
${csrfField(visit)}
<label for="user">User name</label>
<input id="user" name="user" autocomplete="username" autocapitalize="none" spellcheck="false" required maxlength="255" value="${user}">
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required maxlength="1024">
<button>Sign in</button>
</form>
`}${takesPasswords && providers.length > 0 && html`<h2>Or</h2>
`}${providers.map(({ id, name }) => html`<p><a class="button${takesPasswords && ' plain'}" href="${home}/oidc/${id}">Sign in with ${name}</a></p>
`)}${!takesPasswords && providers.length === 0 && html`<p>Sign in where this page belongs to, then load it again.</p>
`}${visit.http.scheme !== 'https' && takesPasswords && html`<p class="quiet">This connection is not encrypted.</p>
`}`,
  };
}

export async function signIn(room: AccountRoom, visit: Visit, form: Form): Promise<Reply> {
  const { entry, http } = visit;
  const [username, password] = [form.text('user'), form.text('password')];
  if (!room.takesPasswords) throw new PageError(403, 'Nobody signs in to this page by a password.');
  try {
    if (username.trim() === '' || password === '') throw new PageError(400, 'Please enter user name and password.');
    const address = http.clientAddress;
    const from = address === undefined ? {} : { clientAddress: address };
    const { user, passwordMark } = await room.signIn.signedIn({ username, password, at: 'page', ...from }, http.signal);
    entry.user = user.loginName;
    entry.event = 'login.ok';
    return await signedIn(room, visit, user, 'password', undefined, passwordMark);
  } catch (error) {
    if (error instanceof SyncError) entry.event = loginEvent(error);
    const failure = failureOf(error);
    if (failure.status >= 500 && failure.code !== 'AUTH_UNAVAILABLE' && failure.code !== 'BUSY') throw error;
    entry.code = failure.code ?? 'BODY_INVALID';
    if (failure.detail !== undefined) entry.detail = failure.detail;
    const isAppPassword = failure.status === 403 && appPasswordLetters(password) !== null;
    return pageFor(room, visit, {
      user: loginNameOrNull(username) ?? '',
      failure: isAppPassword ? new PageError(403, 'This is an app password: it signs in to Anki, and not to this page.', { code: failure.code ?? '' }) : failure,
    });
  }
}

/** For every way in: another cookie, and the page that people come for. */
export async function signedIn(
  room: AccountRoom,
  visit: Visit,
  user: User,
  via: SignedInVia,
  signedInSecs?: number,
  passwordMark?: string,
): Promise<Redirect> {
  const token = await room.sessions.start(user, via, visit.token, signedInSecs, passwordMark);
  if (token === undefined) throw new SyncError('PASSWORD_WRONG', 'wrong user name or password', { detail: 'the user was removed or disabled during the login' });
  return { goTo: '', cookie: { token } };
}

export async function signOut(room: AccountRoom, visit: SignedInVisit): Promise<Redirect> {
  await room.sessions.end(visit.token);
  const atProvider = await providerLogout(room, visit);
  const words = atProvider === undefined
    ? html`<p>You are signed out.</p>`
    : html`<p>You are signed out here. You may still be signed in at ${atProvider.name}: <a href="${atProvider.url}">sign out there too</a>.</p>`;
  const token = newToken();
  room.notices.leave(token, { kind: 'done', words });
  return { goTo: 'sign-in', cookie: { token } };
}

/** A link, not a way on: our forms lead nowhere else, and the provider may be down. */
async function providerLogout({ oidc }: AccountRoom, { session }: SignedInVisit): Promise<{ name: string; url: string } | undefined> {
  const provider = session.via.startsWith('oidc:') ? oidc?.get(session.via.slice('oidc:'.length)) : undefined;
  const url = await provider?.logoutUrl({}).catch(() => undefined);
  return provider === undefined || url === undefined || !/^https?:/.test(url) ? undefined : { name: provider.name, url };
}
