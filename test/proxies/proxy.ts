/** A real proxy in a process of its own: our configuration, its own port, its own folder, and no rights beyond that folder. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { chmod, chown, copyFile, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { testCertificates, type Certificates } from './certificates.ts';

const ADAPTERS = fileURLToPath(new URL('../../adapters/', import.meta.url));
/** `nobody`: a proxy that is started by root gives its rights away, as the packages' services do. */
const NOBODY = 65534;

/** What a configuration is made from. */
export interface Plan {
  /** On 127.0.0.1, for the proxy to listen on. */
  port: number;
  /** The ports of the servers behind it, on 127.0.0.1. */
  upstreams: readonly number[];
  /** Absolute; configuration, logs and temporary files. */
  folder: string;
  certificates: Certificates;
}

export interface Launch {
  command: string;
  args: string[];
  env?: Record<string, string>;
}

export interface Proxy {
  /** `nginx, at a path` */
  name: string;
  scheme: 'http' | 'https';
  path: '/' | '/anki/';
  /** How many servers stand behind it. Default 1. */
  servers?: number;
  /** false: what the server answers in the middle of an upload waits until all of it is sent. */
  answersEarly?: false;
  /** Writes the configuration into the plan's folder. */
  configure(plan: Plan): Promise<Launch>;
}

export interface RunningProxy {
  /** What a person types into Anki's preferences; ends in a slash. */
  endpoint: string;
  port: number;
  /** All that it wrote, to its logs and to the terminal. */
  log(): Promise<string>;
  /** Most bytes of memory that its processes held. Linux. */
  peakBytes(): number;
  stop(): Promise<void>;
}

/** A file of adapters/ as it is shipped, with other words in place of some. @throws if a word is not there: it has to be changed here too */
export async function shipped(path: string, words: Record<string, string>): Promise<string> {
  let text = await readFile(join(ADAPTERS, path), 'utf8');
  for (const [from, to] of Object.entries(words)) {
    if (!text.includes(from)) throw new Error(`adapters/${path} has no "${from}"`);
    text = text.replaceAll(from, to);
  }
  return text;
}

/** @param port of the proxy, where it has to be known before */
export async function startProxy(proxy: Proxy, upstreams: readonly number[], port?: number): Promise<RunningProxy> {
  const folder = await mkdtemp(join(tmpdir(), 'anki-sync-proxy-'));
  const listenPort = port ?? (await freePort());
  let child: ChildProcess | undefined;
  let output = '';
  const stop = async (): Promise<void> => {
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      if ((await Promise.race([ended, sleep(5000, 'late', { ref: false })])) === 'late') {
        child.kill('SIGKILL');
        await ended;
      }
    }
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const certificates = await copyOfCertificates(folder);
    await mkdir(join(folder, 'temporary'));
    const { command, args, env } = await proxy.configure({ port: listenPort, upstreams, folder, certificates });
    const drop = process.getuid?.() === 0;
    if (drop) await giveTo(NOBODY, folder);
    child = spawn(command, args, {
      cwd: folder,
      env: { PATH: process.env['PATH'], HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder, TMPDIR: join(folder, 'temporary'), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(drop ? { uid: NOBODY, gid: NOBODY } : {}),
    });
    const keep = (text: string): void => void (output = (output + text).slice(-200_000));
    for (const stream of [child.stdout!, child.stderr!]) stream.setEncoding('utf8').on('data', keep);
    await listening(child, listenPort, () => output);
    const { pid } = child;
    return {
      endpoint: `${proxy.scheme}://localhost:${listenPort}${proxy.path}`,
      port: listenPort,
      log: async () => {
        const files = (await readdir(folder)).filter((name) => name.endsWith('.log'));
        return [output, ...(await Promise.all(files.map((name) => readFile(join(folder, name), 'utf8'))))].join('\n');
      },
      peakBytes: () => peakBytes(pid!),
      stop,
    };
  } catch (error) {
    await stop();
    throw new Error(`${proxy.name} does not start:\n${output}`, { cause: error });
  }
}

/** Where the proxy may read them. */
async function copyOfCertificates(folder: string): Promise<Certificates> {
  const { ca, ...own } = await testCertificates();
  const copy = async (from: string): Promise<string> => {
    const to = join(folder, basename(from));
    await copyFile(from, to);
    return to;
  };
  return { ca, certificate: await copy(own.certificate), key: await copy(own.key), both: await copy(own.both) };
}

async function giveTo(id: number, folder: string): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) await chown(join(entry.parentPath, entry.name), id, id);
  await chown(folder, id, id);
  await chmod(folder, 0o700);
}

/** Nothing tells of a proxy being ready, so it is asked. */
async function listening(child: ChildProcess, port: number, output: () => string): Promise<void> {
  for (let attempt = 0; attempt < 1500; attempt++) {
    if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}: ${output()}`);
    const taken = await takes(port);
    if (taken) return;
    await sleep(20);
  }
  throw new Error('it does not listen within 30 seconds');
}

function takes(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('error', () => resolve(false)).once('connect', () => {
      resolve(true);
      socket.destroy();
    });
  });
}

function peakBytes(pid: number): number {
  const own = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter((each) => each !== '');
  return Number(own) * 1024 + children.reduce((sum, child) => sum + peakBytes(Number(child)), 0);
}

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
