/** The script for nginx in QuickJS by itself (from PyPI, in the project's cache folder): the engine of `js_engine qjs`, which Debian's nginx does not have. */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ankiPython, run } from '../oracle/anki-python.ts';
import { ROOT } from '../package/project-copy.ts';
import { CACHE } from './current-caddy.ts';

const QUICKJS = 'quickjs==1.19.4';

/** What nginx hands to a function, as far as the script looks at it. */
export interface NginxRequest {
  headersIn?: Record<string, string>;
  args?: Record<string, unknown>;
  remoteAddress?: string;
  method?: string;
  uri?: string;
  status?: number;
  headersOut?: Record<string, string>;
  variables?: Record<string, string>;
  /** By address: the status of `/health` there, or none for a server that is not there. */
  servers?: Record<string, number>;
}

export interface Outcome {
  value?: unknown;
  headersOut: Record<string, string>;
  warnings: string[];
  returned?: { status: number; text: string };
}

/** What nginx has around the script: its module `crypto`, and `ngx.fetch`. */
const AROUND = `
const crypto = { createHash: (kind) => ({ update: (text) => ({ digest: (form) => digest(kind, text, form) }) }) };
let servers = {};
const ngx = {
  fetch: (url) => {
    const status = servers[/^http:\\/\\/([^/]+)\\/health$/.exec(url)[1]];
    return status === undefined ? Promise.reject(new Error('nobody there')) : Promise.resolve({ status });
  },
};
`;

const CALLS = `
globalThis.outcomes = [];
for (const [name, given] of JSON.parse(calls)) {
  const outcome = { headersOut: given.headersOut || {}, warnings: [] };
  outcomes.push(outcome);
  servers = given.servers || {};
  const r = Object.assign({ headersIn: {}, args: {}, variables: {} }, given, {
    headersOut: outcome.headersOut,
    warn: (text) => outcome.warnings.push(text),
    return: (status, text) => { outcome.returned = { status, text }; },
  });
  outcome.value = script[name](r);
}
`;

const PYTHON = `
import hashlib, json, quickjs, sys
job = json.load(sys.stdin)
context = quickjs.Context()
context.set('calls', json.dumps(job['calls']))
context.add_callable('digest', lambda kind, text, form: getattr(hashlib.new(kind, text.encode()), form + 'digest')())
context.module(job['source'])
while context.execute_pending_job(): pass
print(context.eval('JSON.stringify(outcomes)'))
`;

/** Of each call of a function that the script exports. */
export async function inQuickJs(calls: readonly (readonly [name: string, request: NginxRequest])[]): Promise<Outcome[]> {
  const script = await readFile(join(ROOT, 'adapters/nginx-njs/anki-sync.js'), 'utf8');
  const source = AROUND + put(put(script, "import crypto from 'crypto';", ''), 'export default {', 'const script = {') + CALLS;
  const env = { ...process.env, PYTHONPATH: await quickJs() };
  return JSON.parse(await run(await ankiPython(), ['-c', PYTHON], { env, input: JSON.stringify({ source, calls }) })) as Outcome[];
}

function put(text: string, from: string, to: string): string {
  if (!text.includes(from)) throw new Error(`the script has no "${from}"`);
  return text.replace(from, to);
}

async function quickJs(): Promise<string> {
  const home = join(CACHE, QUICKJS.replace('==', '-'));
  if (existsSync(home)) return home;
  const mine = `${home}.${process.pid}`;
  await mkdir(CACHE, { recursive: true });
  await run(await ankiPython(), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '--target', mine, QUICKJS]);
  await rename(mine, home).catch(async (error: unknown) => {
    await rm(mine, { recursive: true, force: true });
    if (!existsSync(home)) throw error;
  });
  return home;
}
