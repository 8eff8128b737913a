/** Host keys of the server behind, in memory alone: the gateway signs in there when it needs one. */
import type { IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { SyncError } from '../errors.ts';
import { packed } from '../zstd.ts';
import { syncHeader } from './envelope.ts';
import type { UpstreamUser } from './settings.ts';
import { smallBodyOf, type Upstream } from './upstream.ts';

/** Of an answer that holds a key, packed and unpacked. */
const MAX_ANSWER_BYTES = 64 * 1024;

const unpack = promisify(zstdDecompress);

export class UpstreamKeys {
  readonly #upstream: Upstream;
  /** By user and password: a password that changes means another key. */
  readonly #keys = new Map<string, Promise<string>>();

  constructor(upstream: Upstream) {
    this.#upstream = upstream;
  }

  /** @throws SyncError UPSTREAM_REFUSED, UPSTREAM_UNREACHABLE, UPSTREAM_SLOW */
  of(user: UpstreamUser): Promise<string> {
    const id = JSON.stringify([user.user, user.password]);
    const known = this.#keys.get(id);
    if (known !== undefined) return known;
    // several requests of a user wait for one sign-in
    const key = this.#signIn(user);
    this.#keys.set(id, key);
    key.catch(() => this.#forget(id, key));
    return key;
  }

  /** A key in place of one that was refused. Whoever comes late gets the one that another request has fetched meanwhile. */
  async renewed(user: UpstreamUser, refused: string): Promise<string> {
    const id = JSON.stringify([user.user, user.password]);
    const known = this.#keys.get(id);
    if (known !== undefined && (await known) === refused) this.#forget(id, known);
    return this.of(user);
  }

  #forget(id: string, key: Promise<string>): void {
    if (this.#keys.get(id) === key) this.#keys.delete(id);
  }

  async #signIn({ user, password }: UpstreamUser): Promise<string> {
    const { data } = packed(JSON.stringify({ u: user, p: password }));
    const response = await this.#upstream.send({
      method: 'POST',
      path: '/sync/hostKey',
      headers: {
        'anki-sync': syncHeader({ key: '', client: 'anki-sync gateway' }),
        'content-type': 'application/octet-stream',
      },
      body: only(data),
      isRepeatable: true,
    });
    const status = response.statusCode ?? 0;
    const key = status === 200 ? await keyIn(response) : undefined;
    response.destroy();
    if (key !== undefined) return key;
    const at = this.#upstream.url;
    if (status === 403) {
      throw new SyncError('UPSTREAM_REFUSED', 'the server behind refuses', { detail: `${at} refuses name or password of its user ${JSON.stringify(user)}` });
    }
    throw new SyncError('UPSTREAM_UNREACHABLE', 'no sync server behind', { detail: `${at} does not answer a sign-in as a sync server does (status ${status})` });
  }
}

async function keyIn(response: IncomingMessage): Promise<string | undefined> {
  const bytes = await smallBodyOf(response, MAX_ANSWER_BYTES);
  if (bytes === null) return undefined;
  try {
    const { key } = JSON.parse((await unpack(bytes, { maxOutputLength: MAX_ANSWER_BYTES })).toString()) as { key?: unknown };
    return typeof key === 'string' && key !== '' ? key : undefined;
  } catch {
    // the parser's message would quote the key
    return undefined;
  }
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
