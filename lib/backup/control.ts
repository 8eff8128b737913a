/**
 * The way from `anki-sync backup`, `status` and `maintenance` to the server that holds the data folder: a socket that only the server's own account may
 * open. One line of JSON each way; a connection's copies are removed when it ends.
 *
 * - `{"copy":"<user id>"}` → `{"folder":"<path>"}` with collection and media index in it, or `{"error":"<words>"}`
 * - anything else is for `answer` of whoever opened the control: an object each way, or `{"error":"<words>"}`
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { SyncError } from '../errors.ts';
import { stagingFolder } from '../storage/files/staging.ts';

/** What of a SyncServer the control needs. */
export interface Copier {
  copyUser(userId: string, to: string): Promise<boolean>;
  /** What is asked beside copies. Throws for what it does not know. */
  answer?(question: Record<string, unknown>): object | Promise<object>;
}

/** Of `sockaddr_un`, on the systems with the shortest. */
const MAX_SOCKET_PATH_BYTES = 100;

/** The data folder must be locked by this process. */
export async function openControl(base: string, server: Copier): Promise<{ close(): Promise<void> }> {
  const { path, remove } = socketPath(base);
  const sockets = new Set<Socket>();
  const listener = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    serve(socket, base, server);
  });
  listener.listen(path);
  await once(listener, 'listening');
  if (process.platform !== 'win32') chmodSync(path, 0o600);
  writeFileSync(`${whereabouts(base)}.new`, JSON.stringify({ path, folder: identityOf(base) }), { mode: 0o600 });
  renameSync(`${whereabouts(base)}.new`, whereabouts(base));
  return {
    async close() {
      rmSync(whereabouts(base), { force: true });
      for (const socket of sockets) socket.destroy();
      listener.close();
      await once(listener, 'close');
      remove();
    },
  };
}

function whereabouts(base: string): string {
  return join(base, '.anki-sync', 'control.json');
}

/** A copy of a data folder whose server runs would else lead to that server, and to the data of the other folder. */
function identityOf(base: string): string {
  return String(statSync(base, { bigint: true }).ino);
}

function socketPath(base: string): { path: string; remove(): void } {
  if (process.platform === 'win32') return { path: `\\\\.\\pipe\\anki-sync-${randomBytes(16).toString('hex')}`, remove() {} };
  const near = join(base, '.anki-sync', 'control.sock');
  if (Buffer.byteLength(near) <= MAX_SOCKET_PATH_BYTES) {
    // of a process that was killed
    rmSync(near, { force: true });
    return { path: near, remove: () => rmSync(near, { force: true }) };
  }
  const folder = mkdtempSync(join(tmpdir(), 'anki-sync-'));
  return { path: join(folder, 'control.sock'), remove: () => rmSync(folder, { recursive: true, force: true }) };
}

function serve(socket: Socket, base: string, server: Copier): void {
  const folder = join(stagingFolder(base), `backup-${randomBytes(12).toString('hex')}`);
  let copies = 0;
  let busy: Promise<void> = Promise.resolve();
  socket.on('error', () => {});
  createInterface({ input: socket }).on('line', (line) => {
    busy = busy.then(() => answer(line));
  });
  socket.once('close', () => void busy.then(() => rmSync(folder, { recursive: true, force: true })));

  async function answer(line: string): Promise<void> {
    let reply: object;
    try {
      const { copy, ...question } = JSON.parse(line) as { copy?: string } & Record<string, unknown>;
      reply = copy === undefined ? await answerTo(question) : await copied(copy);
    } catch (error) {
      reply = { error: error instanceof SyncError ? (error.detail ?? error.message) : (error as Error).message };
    }
    if (!socket.destroyed) socket.write(`${JSON.stringify(reply)}\n`);
  }

  async function copied(userId: string): Promise<object> {
    const to = join(folder, String(++copies));
    mkdirSync(to, { recursive: true });
    return (await server.copyUser(userId, to)) ? { folder: to } : { error: 'there is no such user' };
  }

  async function answerTo(question: Record<string, unknown>): Promise<object> {
    if (server.answer === undefined) throw new Error('this server has no answer to that');
    return server.answer(question);
  }
}

export interface ControlClient {
  /** Answers a folder with the copies; it goes away with the connection. */
  copyUser(userId: string): Promise<string>;
  /** Rejects with the server's words when it has no answer. */
  ask(question: object): Promise<Record<string, unknown>>;
  close(): void;
}

/** Null when no server with a control runs on the data folder. */
export async function connectToControl(base: string): Promise<ControlClient | null> {
  let path: string;
  try {
    const found = JSON.parse(readFileSync(whereabouts(base), 'utf8')) as { path: string; folder: string };
    if (found.folder !== identityOf(base)) return null;
    path = found.path;
  } catch {
    return null;
  }
  const socket = connect(path);
  try {
    await once(socket, 'connect');
  } catch {
    return null;
  }
  socket.on('error', () => {});
  const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  const ask = async (question: object): Promise<Record<string, unknown>> => {
    socket.write(`${JSON.stringify(question)}\n`);
    const { value, done } = await lines.next();
    if (done === true) throw new Error('the server ended');
    const reply = JSON.parse(value as string) as Record<string, unknown>;
    if (typeof reply.error === 'string') throw new Error(reply.error);
    return reply;
  };
  return {
    ask,
    copyUser: async (userId) => (await ask({ copy: userId })).folder as string,
    close: () => void socket.end(),
  };
}

