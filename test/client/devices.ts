/** Real Anki devices from TypeScript: a Python process (device.py) that holds any number of them. */
import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { ankiEnvironment, ankiPython } from '../oracle/anki-python.ts';

const PROGRAM = fileURLToPath(new URL('device.py', import.meta.url));

/** What the client itself reports: its exception's class, its kind for sync errors, and the words a person reads. */
export class ClientError extends Error {
  readonly type: string;
  readonly kind: 'AUTH' | 'OTHER' | null;
  readonly trace: string;

  constructor(command: string, error: { type: string; kind: 'AUTH' | 'OTHER' | null; message: string; trace: string }) {
    super(error.message);
    this.name = `ClientError in ${command}: ${error.type}`;
    this.type = error.type;
    this.kind = error.kind;
    // for commands that fail inside Python; a sync's own words say enough
    this.trace = error.type === 'SyncError' ? '' : error.trace;
  }
}

export type SyncRequired = 'NO_CHANGES' | 'NORMAL_SYNC' | 'FULL_SYNC' | 'FULL_DOWNLOAD' | 'FULL_UPLOAD';

export interface SyncOutcome {
  /** NO_CHANGES also after a normal sync that went through. */
  required: SyncRequired;
  message: string;
  mediaUsn: number;
}

export interface Stamps {
  crt: number;
  mod: number;
  scm: number;
  ver: number;
  usn: number;
  ls: number;
}

interface Waiting {
  command: string;
  /** Where the command was given: an answer's own stack leads nowhere. */
  from: { stack?: string };
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export class AnkiDevices {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #errors = '';
  /** Why there will be no further answers. */
  #ended: string | undefined;

  private constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    createInterface({ input: child.stdout }).on('line', (line) => this.#settle(line));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#errors = (this.#errors + text).slice(-8000)));
    child.stdin.on('error', () => {});
    child.on('close', (code) => {
      this.#ended = `the client process ended with ${code}`;
      for (const { command, reject } of this.#waiting.values()) {
        reject(new Error(`${this.#ended} during ${command}\n${this.#errors}`));
      }
      this.#waiting.clear();
    });
  }

  /** Of the newest Anki, or of another release by a program that takes the same commands. */
  static async start(other?: { version?: string; program?: string[]; env?: Record<string, string> }): Promise<AnkiDevices> {
    const env = ankiEnvironment({ PYTHONDONTWRITEBYTECODE: '1', ...other?.env });
    return new AnkiDevices(spawn(await ankiPython(other?.version), other?.program ?? [PROGRAM], { env }));
  }

  /** One command of device.py or edits.py. Rejects with ClientError. */
  do(device: string, command: string, args: object = {}): Promise<unknown> {
    const id = ++this.#lastId;
    if (this.#ended !== undefined) return Promise.reject(new Error(`${this.#ended} before ${command}\n${this.#errors}`));
    return new Promise((resolve, reject) => {
      const from = {};
      Error.captureStackTrace(from);
      this.#waiting.set(id, { command, from, resolve, reject });
      this.#child.stdin.write(`${JSON.stringify({ id, device, do: command, args })}\n`);
    });
  }

  async device(name: string, folder: string): Promise<Device> {
    await this.do(name, 'open', { folder });
    return new Device(this, name);
  }

  async copyOf(path: string, name: string, folder: string): Promise<Device> {
    await this.do(name, 'open_copy', { path, folder });
    return new Device(this, name);
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const closed = once(this.#child, 'close');
    this.#child.stdin.end();
    await closed;
  }

  #settle(line: string): void {
    const answer = JSON.parse(line) as { id: number; ok?: unknown; error?: ConstructorParameters<typeof ClientError>[1] };
    const waiting = this.#waiting.get(answer.id);
    if (waiting === undefined) return;
    this.#waiting.delete(answer.id);
    if (answer.error) {
      const error = new ClientError(waiting.command, answer.error);
      error.stack = `${error.name}: ${error.message}${(waiting.from.stack ?? '').replace(/^[^\n]*/, '')}`;
      waiting.reject(error);
    } else {
      waiting.resolve(answer.ok);
    }
  }
}

export class Device {
  readonly all: AnkiDevices;
  readonly name: string;
  /** The host key, once signed in. */
  key = '';

  constructor(all: AnkiDevices, name: string) {
    this.all = all;
    this.name = name;
  }

  /** Any command of edits.py. The caller knows what it answers. */
  do<Answer = unknown>(command: string, args: object = {}): Promise<Answer> {
    return this.all.do(this.name, command, args) as Promise<Answer>;
  }

  async login(user: string, password: string, endpoint: string): Promise<string> {
    this.key = (await this.do<{ key: string }>('login', { user, password, endpoint })).key;
    return this.key;
  }

  /** What the sync button does; `media` also waits for the media sync that follows. */
  sync(options: { media?: boolean } = {}): Promise<SyncOutcome> {
    return this.do('sync', options);
  }

  /** The one-way sync that a person chooses when asked. */
  async upload(mediaUsn?: number): Promise<void> {
    await this.do('full', { upload: true, ...(mediaUsn === undefined ? {} : { media_usn: mediaUsn }) });
  }

  async download(mediaUsn?: number): Promise<void> {
    await this.do('full', { upload: false, ...(mediaUsn === undefined ? {} : { media_usn: mediaUsn }) });
  }

  async syncMedia(): Promise<void> {
    await this.do('sync_media');
  }

  stamps(): Promise<Stamps> {
    return this.do('stamps');
  }

  /** Name to SHA-1 of all files in the media folder. */
  mediaFiles(): Promise<Record<string, string>> {
    return this.do('media_files');
  }

  async close(): Promise<void> {
    await this.do('close');
  }
}
