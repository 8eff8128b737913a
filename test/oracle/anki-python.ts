/**
 * The oracle: real Anki, installed from PyPI into the project's cache folder, once for all suites.
 * Nothing here may reach AnkiWeb: children get `https_proxy` pointed at a closed local port.
 */
import { spawn } from 'node:child_process';
import { existsSync, globSync } from 'node:fs';
import { mkdir, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const ANKI_VERSION = '26.9.3';
const CACHE = join(fileURLToPath(new URL('../../', import.meta.url)), '.cache');

/** Environment for every Python child: no way out to AnkiWeb, no stray configuration of the official server. */
export function ankiEnvironment(extra: Record<string, string> = {}): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (!/^(SYNC_|MAX_SYNC|PASSWORDS_HASHED|https?_proxy$|all_proxy$)/i.test(name)) env[name] = value;
  }
  return { ...env, https_proxy: 'http://127.0.0.1:9', HTTPS_PROXY: 'http://127.0.0.1:9', no_proxy: '127.0.0.1,localhost', ...extra };
}

/** No Python on this machine runs the asked for release of Anki: a test may skip that release, and says so. */
export class PythonMissing extends Error {}

/** What a release of Anki runs with. Old ones break with libraries that came after them, which their packages do not pin. */
interface Surroundings {
  /** Minor versions of Python 3, best first. */
  minors: readonly number[];
  pins: readonly string[];
}

const OLD_PINS = ['protobuf<4', 'markdown<3.4', 'setuptools<70'];

function surroundingsOf(version: string): Surroundings {
  const [major = 0, , patch = 0] = version.split('.').map(Number);
  if (version === ANKI_VERSION) return { minors: [12, 11, 10, 9], pins: ['zstandard'] };
  if (major > 2) return { minors: [11, 12, 10, 9], pins: [] };
  if (patch >= 57) return { minors: [11, 10, 9], pins: [] };
  if (patch >= 55) return { minors: [9], pins: ['protobuf>=4.21,<5', 'markdown<3.4', 'setuptools<70'] };
  return { minors: [patch >= 45 ? 9 : 8], pins: OLD_PINS };
}

/**
 * Path of a Python that can `import anki` of the given version. Safe to call from several test processes at once.
 * @throws PythonMissing
 */
export async function ankiPython(version = ANKI_VERSION): Promise<string> {
  const home = join(CACHE, `anki-${version}`);
  const python = join(home, 'bin', 'python');
  if (existsSync(join(home, 'ready'))) return python;
  await mkdir(CACHE, { recursive: true });
  const lock = `${home}.lock`;
  for (;;) {
    try {
      await mkdir(lock);
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      if (existsSync(join(home, 'ready'))) return python;
      // another test process installs; a lock older than ten minutes belongs to a dead one
      const age = Date.now() - (await stat(lock).then((s) => s.mtimeMs, () => Date.now()));
      if (age > 600_000) await rmdir(lock).catch(() => {});
      await sleep(300);
    }
  }
  try {
    if (!existsSync(join(home, 'ready'))) {
      await rm(home, { recursive: true, force: true });
      const { minors, pins } = surroundingsOf(version);
      const base = await findPython(minors);
      await run(base, ['-m', 'venv', home]);
      await run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `anki==${version}`, ...pins]);
      await writeFile(join(home, 'ready.new'), `${version}\n`);
      await rename(join(home, 'ready.new'), join(home, 'ready'));
    }
    return python;
  } finally {
    await rmdir(lock).catch(() => {});
  }
}

/** A Python of one of the given minor versions, with venv; Debian's package is installed where the user is root. */
async function findPython(minors: readonly number[]): Promise<string> {
  const versions = `(${minors.join(', ')},)`;
  const works = async (name: string): Promise<boolean> =>
    run(name, ['-c', `import sys, venv, ensurepip; sys.exit(sys.version_info.minor not in ${versions})`]).then(() => true, () => false);
  const pyenv = process.env['PYENV_ROOT'] ?? join(homedir(), '.pyenv');
  for (const minor of minors) {
    for (const name of [`python3.${minor}`, ...globSync(join(pyenv, 'versions', `3.${minor}.*`, 'bin', 'python'))]) if (await works(name)) return name;
  }
  if (await works('python3')) return 'python3';
  if (minors.length > 1 && process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')) {
    await run('apt-get', ['update', '-qq']);
    await run('apt-get', ['install', '-y', '-qq', 'python3', 'python3-venv', 'python3-pip']);
    if (await works('python3')) return 'python3';
  }
  throw new PythonMissing(`the tests drive the real Anki client, and need a Python 3.${minors.join(' or 3.')} with venv`);
}

/** Runs to the end; rejects with what it printed when it fails. */
export function run(command: string, args: string[], options: { input?: string; env?: NodeJS.ProcessEnv; cwd?: string } = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env: options.env ?? process.env, cwd: options.cwd, stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.stdin.on('error', () => {});
    child.on('close', (code) =>
      code === 0 ? resolve(stdout) : reject(new Error(`${command} ${args.slice(0, 3).join(' ')} ended with ${code}\n${stdout.slice(-4000)}\n${stderr.slice(-4000)}`)),
    );
    child.stdin.end(options.input ?? '');
  });
}
