/** A browser without scripts, as far as the account page needs one: cookies, forms, and no way on by itself. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import express from 'express';
import { expressSync, type ExpressSyncOptions } from '../../adapters/express/index.ts';
import { createSyncServer, openBuiltInAuth, type LogEntry, type SyncServer, type SyncServerOptions } from '../../lib/index.ts';
import { CHEAP } from '../auth/cheap.ts';

export interface AccountServer {
  sync: SyncServer;
  base: string;
  log: LogEntry[];
  /** Where it is mounted, with a slash at its end: what Anki is told. */
  url: string;
  visitor(): Visitor;
}

export interface AccountServerOptions {
  options?: SyncServerOptions;
  /** Users of the data folder, with their passwords. */
  users?: Record<string, string>;
  admins?: string[];
  /** Default `/anki`, in Express. */
  mount?: (sync: SyncServer) => { listener: RequestListener; path: string };
  express?: ExpressSyncOptions;
  /** Of an earlier server, stopped meanwhile. Default: a new one, which goes with the test. */
  base?: string;
}

export async function dataFolder(t: TestContext): Promise<string> {
  const base = await mkdtemp(join(tmpdir(), 'anki-sync-account-'));
  t.after(() => rm(base, { recursive: true, force: true }));
  return base;
}

/** Changes to users, as the command line makes them. */
export async function manage<T>(base: string, work: (auth: Awaited<ReturnType<typeof openBuiltInAuth>>) => Promise<T>): Promise<T> {
  const auth = await openBuiltInAuth(base, { passwords: CHEAP });
  try {
    return await work(auth);
  } finally {
    await auth.close();
  }
}

export async function accountServer(t: TestContext, wanted: AccountServerOptions = {}): Promise<AccountServer & { stop(): Promise<void> }> {
  const base = wanted.base ?? (await dataFolder(t));
  const { users = {}, admins = [] } = wanted;
  if (Object.keys(users).length > 0) {
    await manage(base, async (auth) => {
      for (const [name, password] of Object.entries(users)) await auth.users.add(name, password);
      for (const name of admins) await auth.users.setAdmin(name, true);
    });
  }
  const log: LogEntry[] = [];
  const sync = createSyncServer({ base, account: true, threads: 1, log: (entry) => log.push(entry), ...wanted.options });
  const mount = wanted.mount ?? ((each) => ({ listener: express().use('/anki', expressSync(each, wanted.express)), path: '/anki/' }));
  const { listener, path } = mount(sync);
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  await sync.ready;
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopped ??= (async () => {
    server.close();
    server.closeAllConnections();
    await sync.close();
  })());
  t.after(stop);
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
  return { sync, base, log, url, visitor: () => new Visitor(url), stop };
}

export interface Visited {
  status: number;
  headers: Headers;
  text: string;
  bytes: Buffer;
  /** Where a redirect leads, below the account page: `/sign-in`; undefined without one. */
  to: string | undefined;
}

export class Visitor {
  readonly home: string;
  cookie = '';
  /** Of the last page with a form. */
  csrf = '';
  /** Sent with each request. */
  headers: Record<string, string> = {};

  /** @param url of the mount, with a slash at its end */
  constructor(url: string) {
    this.home = `${url}account`;
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Visited> {
    return this.send('GET', path, undefined, headers);
  }

  /** With the token of the last page, unless the fields have one. */
  post(path: string, fields: Record<string, string>, headers: Record<string, string> = {}): Promise<Visited> {
    return this.send('POST', path, new URLSearchParams({ csrf: this.csrf, ...fields }).toString(), { 'content-type': 'application/x-www-form-urlencoded', ...headers });
  }

  /** Posts, is sent on, and looks. */
  async change(path: string, fields: Record<string, string>): Promise<Visited> {
    const answer = await this.post(path, fields);
    assert.equal(answer.status, 303, words(answer));
    return this.get(answer.to!);
  }

  async send(method: string, path: string, body?: string | Uint8Array, headers: Record<string, string> = {}): Promise<Visited> {
    const response = await fetch(this.home + path, {
      method,
      redirect: 'manual',
      headers: { ...(this.cookie === '' ? {} : { cookie: this.cookie }), ...this.headers, ...headers },
      ...(body === undefined ? {} : { body: body as NonNullable<RequestInit['body']> }),
    });
    const set = response.headers.get('set-cookie');
    if (set !== null) this.cookie = set.split(';')[0]!;
    const bytes = Buffer.from(await response.arrayBuffer());
    const text = bytes.toString();
    this.csrf = /name="csrf" value="([^"]+)"/.exec(text)?.[1] ?? this.csrf;
    const location = response.headers.get('location');
    const { pathname } = new URL(this.home);
    return {
      status: response.status,
      headers: response.headers,
      text,
      bytes,
      to: location === null ? undefined : location.startsWith(pathname) ? location.slice(pathname.length) : location,
    };
  }

  async signIn(user: string, password: string): Promise<Visited> {
    await this.get('/sign-in');
    return this.post('/sign-in', { user, password });
  }
}

/** The words of a page, without its marks. */
export function words({ text }: Pick<Visited, 'text'>): string {
  return text.replaceAll(/<(style|script)[^>]*>.*?<\/\1>/gs, '').replaceAll(/<[^>]*>/g, ' ').replaceAll(/\s+/g, ' ').trim();
}

/** What the last change has led to. */
export function notice({ text }: Pick<Visited, 'text'>): string {
  return words({ text: /<section class="notice.*?<\/section>/s.exec(text)?.[0] ?? '' });
}

/** What is shown once: an app password, or a password that was made up. */
export function shownSecret({ text }: Pick<Visited, 'text'>): string {
  return /<code class="secret"[^>]*>([^<]+)</.exec(text)?.[1] ?? assert.fail('no secret is shown');
}
