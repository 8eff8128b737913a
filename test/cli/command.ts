/** The command line as its users meet it: in a process of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

export const BIN = fileURLToPath(new URL('../../lib/bin.ts', import.meta.url));

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

interface CommandOptions {
  input?: string;
  env?: Record<string, string>;
  cwd?: string;
  /** Default `serve`. */
  command?: 'serve' | 'gateway';
}

/** No variable that means something to the server, whatever the tests run under. */
function cleanEnvironment(extra: Record<string, string> = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !/^(SYNC_|MAX_SYNC|PASSWORDS_HASHED|LDAP_|OIDC_|UPSTREAM_|PUBLIC_URL)/.test(name));
  return { ...Object.fromEntries(kept), ...extra };
}

export async function ankiSync(args: string[], { input = '', env, cwd }: CommandOptions = {}): Promise<Outcome> {
  const child = spawn(process.execPath, [BIN, ...args], { env: cleanEnvironment(env), cwd, stdio: ['pipe', 'pipe', 'pipe'] });
  const outcome: Outcome = { code: null, stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (outcome.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (outcome.stderr += text));
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  [outcome.code] = (await once(child, 'close')) as [number | null];
  return outcome;
}

export interface RunningServer {
  child: ChildProcess;
  /** As the server itself tells it: `http://127.0.0.1:12345/`. */
  url: string;
  /** Everything it printed so far. */
  lines: string[];
  /** Resolves with the first line, past or future, that matches. */
  line(pattern: RegExp): Promise<string>;
  /** Sends the signal and resolves with the exit code, or the signal that ended it. */
  stop(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals | null>;
}

/** `anki-sync serve` on a free port; ended with the test. */
export async function startServer(t: TestContext, args: string[], { env, cwd, command = 'serve' }: CommandOptions = {}): Promise<RunningServer> {
  const child = spawn(process.execPath, [BIN, command, ...args], { env: cleanEnvironment(env), cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const lines: string[] = [];
  const waiting = new Set<() => void>();
  const ended = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  let over = false;
  void ended.then(() => {
    over = true;
    for (const check of waiting) check();
  });
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (text) => {
      lines.push(text);
      for (const check of waiting) check();
    });
  }
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const line = (pattern: RegExp): Promise<string> =>
    new Promise((resolve, reject) => {
      const check = (): void => {
        const found = lines.find((text) => pattern.test(text));
        if (found === undefined && !over) return;
        waiting.delete(check);
        if (found === undefined) reject(new Error(`the server ended without printing ${pattern}:\n${lines.join('\n')}`));
        else resolve(found);
      };
      waiting.add(check);
      check();
    });
  const url = /enter (\S+) in Anki/.exec(await line(/(^|"msg":")listening on /))?.[1] ?? '';
  return {
    child,
    url,
    lines,
    line,
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      const [code, by] = await ended;
      // for whoever reads why a test failed
      if (by !== null) console.error(`ended by ${by}, and said last: ${lines.slice(-5).join(' | ')}`);
      return code ?? by;
    },
  };
}

export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'anki-sync-cli-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
