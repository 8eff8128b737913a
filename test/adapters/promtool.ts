/** Prometheus' own reader of rules, queries and metrics: the one in PATH, or the one of Debian's package, which is unpacked and not installed. */
import { existsSync, globSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../oracle/anki-python.ts';
import { ROOT } from '../package/project-copy.ts';

const CACHED = join(ROOT, '.cache/promtool');

/** Undefined where it is not, and cannot be had. */
export async function promtool(): Promise<string | undefined> {
  const found = [...(process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'promtool')), CACHED].find((path) => existsSync(path));
  if (found !== undefined || process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return found;
  const folder = await mkdtemp(join(tmpdir(), 'anki-sync-promtool-'));
  try {
    await download(folder);
    await run('dpkg-deb', ['-x', globSync(join(folder, 'prometheus_*.deb'))[0]!, folder]);
    await mkdir(dirname(CACHED), { recursive: true });
    await copyFile(join(folder, 'usr/bin/promtool'), `${CACHED}.${process.pid}`);
    await rename(`${CACHED}.${process.pid}`, CACHED);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return CACHED;
}

async function download(folder: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await run('apt-get', ['-qq', 'update']);
      await run('apt-get', ['-qq', 'download', 'prometheus'], { cwd: folder });
      return;
    } catch (error) {
      // another suite installs at the same time
      if (attempt === 60 || !/lock/i.test(String(error))) throw error;
      await sleep(2000);
    }
  }
}
