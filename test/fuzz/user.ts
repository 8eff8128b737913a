/** A user of the server under fire, what is known of it, and its valid requests. */
import { join } from 'node:path';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { AtRest } from './at-rest.ts';
import type { BodySource } from './bodies.ts';
import { MEDIA_METHODS, type Method } from './draft.ts';
import type { State } from './states.ts';
import { PASSWORD, type Target } from './target.ts';
import { Connection, Unanswered, type WireAnswer } from './wire.ts';

export interface PlainAnswer {
  status: number;
  text: string;
}

/** A valid request was answered in another way than with 200. */
export class NotAccepted extends Error {
  readonly status: number;
  readonly code: string;

  constructor(method: string, { status, text }: PlainAnswer) {
    super(`a valid ${method} is answered ${status} ${text.slice(0, 200)}`);
    this.status = status;
    this.code = text.slice(0, 80);
  }
}

export class FuzzUser implements BodySource {
  readonly name: string;
  readonly target: Target;
  readonly connection: Connection;
  readonly atRest: AtRest;
  readonly collection: Buffer;
  key = '';
  sessionKey = 'none yet';
  /** The session key of the sync that runs; undefined when it is not known. */
  running: string | null | undefined = null;
  /** The state it was brought to, as long as nothing has changed it. */
  state: State | undefined;
  /** When the last request that reached the user was sent, and so its idle time began anew at the latest. */
  sentMillis = 0;
  usn = 0;
  objects: BodySource['objects'] = { models: [], decks: [[], []], conf: {}, crt: 0 };
  counts: unknown = undefined;
  /** Valid requests that were sent. */
  requests = 0;
  #sessions = 0;

  constructor(target: Target, name: string, collection: Buffer, scratch: string) {
    this.target = target;
    this.name = name;
    this.collection = collection;
    this.connection = new Connection(target.port);
    this.atRest = new AtRest(join(target.base, name), join(scratch, name));
  }

  /** Signs in, and replaces whatever the user has by the collection all begin with. */
  async reset(): Promise<void> {
    if (this.key === '') this.key = ((await this.must('hostKey', { u: this.name, p: PASSWORD })) as { key: string }).key;
    const text = await this.mustBytes('upload', this.collection);
    if (text !== 'OK') throw new Error(`a valid upload is answered ${text}`);
    this.atRest.committed();
    this.running = null;
    this.state = undefined;
    this.newSession();
    await this.must('start', { minUsn: 0, lnewer: false, graves: null });
    const changes = { models: [], decks: [[], []], tags: [] };
    this.objects = (await this.must('applyChanges', { changes })) as BodySource['objects'];
    await this.must('abort', {});
    await this.refresh();
  }

  /** What a commit may have changed. */
  async refresh(): Promise<void> {
    this.usn = ((await this.must('meta', { v: 11, cv: 'fuzz' })) as { usn: number }).usn;
    this.running = null;
    this.counts = undefined;
  }

  newSession(): void {
    this.sessionKey = `${this.name} ${++this.#sessions}`;
  }

  async remove(): Promise<void> {
    await this.target.removeUser(this.name);
  }

  /** A valid request; its answer's JSON. @throws NotAccepted */
  async must(method: Method, value: unknown, sessionKey = this.sessionKey): Promise<unknown> {
    return JSON.parse(await this.mustBytes(method, Buffer.from(JSON.stringify(value)), sessionKey));
  }

  async mustBytes(method: Method, plain: Buffer, sessionKey = this.sessionKey): Promise<string> {
    const answer = await this.#request(method, plain, sessionKey);
    if (answer.status !== 200) throw new NotAccepted(method, answer);
    return answer.text;
  }

  async ask(method: Method, value: unknown, sessionKey = this.sessionKey): Promise<PlainAnswer> {
    return this.#request(method, Buffer.from(JSON.stringify(value)), sessionKey);
  }

  async #request(method: Method, plain: Buffer, sessionKey: string): Promise<PlainAnswer> {
    this.requests++;
    this.sentMillis = performance.now();
    const header = JSON.stringify({ v: 11, k: method === 'hostKey' ? '' : this.key, c: `valid ${this.name}`, s: sessionKey });
    const path = (MEDIA_METHODS as readonly string[]).includes(method) ? 'msync' : 'sync';
    const body = zstdCompressSync(plain);
    const head = `POST /${path}/${method} HTTP/1.1\r\nhost: localhost\r\nanki-sync: ${header}\r\ncontent-length: ${body.length}\r\n\r\n`;
    const answer = await this.connection.send({ method: 'POST', bytes: Buffer.concat([Buffer.from(head), body]) }).catch((error: unknown) => {
      throw error instanceof Unanswered ? new Unanswered(`a valid ${method}: ${error.message}`) : error;
    });
    return { status: answer!.status, text: unpacked(answer!).toString() };
  }
}

export function unpacked({ headers, body }: WireAnswer): Buffer {
  return headers['anki-original-size'] === undefined ? body : zstdDecompressSync(body);
}
