/** The pages at `<mount>/account`: everything between a request and its answer that belongs to no page alone. */
import { loginNameOrNull } from '../auth/login-names.ts';
import { SyncError } from '../errors.ts';
import type { HttpRequest, HttpResponse } from '../http.ts';
import type { LogEntry } from '../options.ts';
import { ClientGone } from '../protocol/client-gone.ts';
import { assetAnswer, pageAnswer, seeOther } from './answers.ts';
import { cookieOf, hostOf, newToken, setCookie } from './cookies.ts';
import { isCsrfToken, requireSameSite } from './csrf.ts';
import { failureOf } from './failures.ts';
import { readForm, requireText, type Form } from './forms.ts';
import { html } from './html.ts';
import { documentOf } from './layout.ts';
import { PageError } from './page-error.ts';
import type { Recheck } from './recheck.ts';
import type { AccountRoom, Page, Redirect, Reply, SignedInVisit, Visit } from './room.ts';
import { FOR_ADMINS, FOR_ANYBODY, FOR_USERS, routeIn } from './routes.ts';
import { SCRIPT } from './script.ts';
import type { Session } from './sessions.ts';
import { STYLE } from './style.ts';

export interface AccountParts extends AccountRoom {
  recheck: Recheck;
  /** Whether the authenticators have such a user; true where they cannot tell. */
  isKnown(loginName: string): Promise<boolean>;
  /** Writes down what only the operator may know. */
  describe(error: unknown, entry: LogEntry): void;
}

const READS: ReadonlySet<string> = new Set(['GET', 'HEAD']);

/** Pages about cards and media. */
const ABOUT_DATA: ReadonlySet<string> = new Set(['collection', 'delete']);

export class Account {
  readonly #room: AccountParts;

  constructor(options: AccountParts) {
    this.#room = options;
  }

  /** @param path segments below the account page, decoded. Rejects with ClientGone alone. */
  async respond(http: HttpRequest, path: readonly string[], entry: LogEntry): Promise<HttpResponse> {
    if (path.length === 1 && READS.has(http.method)) {
      if (path[0] === 'account.css') return assetAnswer('text/css; charset=utf-8', STYLE);
      if (path[0] === 'account.js') return assetAnswer('text/javascript; charset=utf-8', SCRIPT);
    }
    const visit = this.#arrive(http, path, entry);
    // what was sent with the request, to be replaced by whatever happens on the way
    const before = visit.token;
    try {
      const reply = await this.#reply(visit);
      return this.#answer(visit, reply, before);
    } catch (error) {
      if (error instanceof ClientGone) throw error;
      return this.#answer(visit, this.#failed(visit, error), before);
    }
  }

  async close(): Promise<void> {
    await this.#room.recheck.close();
  }

  #arrive(http: HttpRequest, path: readonly string[], entry: LogEntry): Visit {
    const { publicUrl } = this.#room;
    const baseUrl = (publicUrl ?? `${http.scheme ?? 'http'}://${hostOf(http)}${http.mountPath ?? ''}`).replace(/\/+$/, '');
    const mount = publicUrl === undefined ? pathAsShown(http.mountPath ?? '') : new URL(publicUrl).pathname.replace(/\/+$/, '');
    const cookie = cookieOf(http);
    const [, query = ''] = /\?([^#]*)/.exec(http.url) ?? [];
    return {
      http,
      path,
      query: new URLSearchParams(query),
      home: `${mount}/account`,
      serverUrl: `${baseUrl}/`,
      token: cookie?.token ?? newToken(),
      sealed: cookie?.sealed,
      session: undefined,
      entry,
    };
  }

  async #reply(visit: Visit): Promise<Reply> {
    const { http, path, query } = visit;
    const isPost = http.method === 'POST';
    if (!isPost && !READS.has(http.method)) throw new PageError(405, 'Pages are read by GET, and changed by POST.', { code: 'HTTP_METHOD_WRONG' });
    for (const value of [...path, ...query.values()]) requireText(value);
    const form = isPost ? await this.#form(visit) : undefined;
    const { token } = visit;
    await this.#recognise(visit);
    // made for whoever was signed in at the portal then
    if (isPost && http.signedInUser !== undefined && visit.token !== token) throw tooOld();

    const open = routeIn(FOR_ANYBODY, path);
    if (open !== undefined) return run(open, this.#room, visit, form);
    const users = routeIn(FOR_USERS, path);
    const admins = users === undefined ? routeIn(FOR_ADMINS, path) : undefined;
    const isElsewhere = !this.#room.holdsData && ABOUT_DATA.has(path[0] ?? '');
    if (isElsewhere || (users === undefined && admins === undefined)) throw new PageError(404, 'There is no such page.', { code: 'PATH_UNKNOWN' });
    if (!isSignedIn(visit)) return { goTo: 'sign-in' };
    if (users !== undefined) return run(users, this.#room, visit, form);
    if (!this.#room.isAdmin(visit.session.user)) throw new PageError(403, 'This page is for administrators.');
    return run(admins!, this.#room, visit, form);
  }

  async #form(visit: Visit): Promise<Form> {
    const { http, token } = visit;
    const { publicUrl } = this.#room;
    requireSameSite(http, [hostOf(http), ...(publicUrl === undefined ? [] : [new URL(publicUrl).host])]);
    const form = await readForm(http);
    if (!isCsrfToken(form.text('csrf'), token)) {
      if (cookieOf(http) !== undefined) throw tooOld();
      throw new PageError(403, 'Your browser did not send the cookie of this page. Please allow cookies, load the page again and repeat what you did.', {
        detail: 'no cookie',
      });
    }
    return form;
  }

  /** Whose visit it is. The portal's word counts more than a session that began otherwise. */
  async #recognise(visit: Visit): Promise<void> {
    const { http, token } = visit;
    const session = cookieOf(http) === undefined ? undefined : await this.#room.sessions.find(token);
    if (http.signedInUser !== undefined) {
      visit.session = await this.#portalSession(visit, http.signedInUser, session);
    } else if (session?.via === 'portal') {
      // signed out there, so signed out here
      await this.#room.sessions.end(token);
      visit.token = newToken();
    } else {
      visit.session = session;
    }
    if (visit.session === undefined) return;
    visit.entry.user = visit.session.user.loginName;
    if (visit.session.via === 'password') this.#room.recheck.visited(visit.session.user);
  }

  async #portalSession(visit: Visit, typedName: string, session: Session | undefined): Promise<Session> {
    if (loginNameOrNull(typedName) === null) {
      throw new PageError(500, 'The portal gave a user name that cannot be one.', { code: 'INTERNAL', detail: 'signedInUser is no login name' });
    }
    // whom nobody else vouches for must not be taken for gone when the authenticators are asked: see AuthenticatedUser.provider
    const isOfPortal = session?.via !== 'portal' && !(await this.#room.isKnown(typedName));
    const user = await this.#room.directory.userFor(typedName, isOfPortal ? { provider: 'portal' } : {}).catch((error: unknown) => {
      throw error instanceof SyncError && error.code === 'PASSWORD_WRONG' ? disabled() : error;
    });
    if (session?.user.id === user.id) return session;
    const started = await this.#room.sessions.start(user, 'portal', visit.token);
    if (started === undefined) throw disabled();
    visit.token = started;
    visit.entry.event = 'login.ok';
    return { user, via: 'portal', signedInSecs: Math.floor(Date.now() / 1000) };
  }

  #failed(visit: Visit, error: unknown): Page {
    const failure = failureOf(error);
    if (error instanceof SyncError || failure.code === 'INTERNAL') this.#room.describe(error, visit.entry);
    else {
      visit.entry.level = failure.status >= 500 ? 'error' : 'warn';
      if (failure.code !== undefined) visit.entry.code = failure.code;
      visit.entry.detail = failure.detail ?? failure.message;
    }
    const { home, session } = visit;
    return {
      title: failure.status >= 500 ? 'This did not work' : failure.status === 404 ? 'Not found' : 'This cannot be done',
      status: failure.status,
      narrow: true,
      notice: { kind: 'failed', words: html`<p>${failure.message}</p>` },
      body: html`<p><a href="${home}${session === undefined && '/sign-in'}">${session === undefined ? 'Sign in' : 'To your account'}</a></p>
`,
      ...(failure.retryAfterSecs === undefined ? {} : { retryAfterSecs: failure.retryAfterSecs }),
    };
  }

  #answer(visit: Visit, reply: Reply, before: string): HttpResponse {
    if ('headers' in reply) return reply;
    if ('goTo' in reply) return this.#redirect(visit, reply, before);
    const { token, sealed } = visit;
    const notice = reply.notice ?? (visit.http.method === 'GET' ? this.#room.notices.take(token) : undefined);
    const page = documentOf(visit, reply, {
      notice,
      isAdmin: visit.session !== undefined && this.#room.isAdmin(visit.session.user),
      hasAppPasswords: this.#room.appPasswords !== undefined,
      holdsData: this.#room.holdsData,
    });
    const kept = cookieOf(visit.http);
    // a form of another site comes without our cookie: the answer must not replace it. Also what was sealed for the way back, once it is used
    const isNew = token !== before || (kept === undefined ? READS.has(visit.http.method) : kept.sealed !== sealed);
    return pageAnswer(reply.status ?? 200, page, {
      ...(isNew ? setCookie(visit.http, visit.home, { token, ...(sealed === undefined || token !== before ? {} : { sealed }) }) : {}),
      ...(reply.retryAfterSecs === undefined ? {} : { 'retry-after': String(reply.retryAfterSecs) }),
    });
  }

  #redirect(visit: Visit, { goTo, notice, cookie }: Redirect, before: string): HttpResponse {
    const now = cookie ?? (visit.token === before ? undefined : { token: visit.token });
    if (notice !== undefined) this.#room.notices.leave(now?.token ?? visit.token, notice);
    const location = /^https?:/.test(goTo) ? goTo : `${visit.home}${goTo === '' ? '' : `/${goTo}`}`;
    return seeOther(location, now === undefined ? {} : setCookie(visit.http, visit.home, now));
  }
}

function disabled(): PageError {
  return new PageError(403, 'Your account on this sync server is disabled.', { code: 'PASSWORD_WRONG' });
}

function tooOld(): PageError {
  return new PageError(403, 'This form was too old, so nothing was done. Please load the page again and repeat what you did.', {
    detail: 'a form of another session',
  });
}

/** An application may mount us below a parameter, of which a link says what it is: never another host, nor an attribute of the cookie. */
function pathAsShown(mountPath: string): string {
  return mountPath.replace(/^[/\\]+/, '/').replaceAll(/[\\;,\s]/g, encodeURIComponent);
}

function isSignedIn(visit: Visit): visit is SignedInVisit {
  return visit.session !== undefined;
}

type Route<V extends Visit> = {
  get?(room: AccountRoom, visit: V): Promise<Reply> | Reply;
  post?(room: AccountRoom, visit: V, form: Form): Promise<Reply> | Reply;
};

async function run<V extends Visit>({ get, post }: Route<V>, room: AccountRoom, visit: V, form: Form | undefined): Promise<Reply> {
  if (form !== undefined && post !== undefined) return post(room, visit, form);
  if (form === undefined && get !== undefined) return get(room, visit);
  // an address of a form that was reloaded, or kept as a bookmark
  const [place = '', ...below] = visit.path;
  if (form === undefined) return { goTo: below.length === 0 || place === 'users' || place === 'oidc' ? '' : place };
  throw new PageError(405, 'This page takes no forms.', { code: 'HTTP_METHOD_WRONG' });
}
