/** The project without its tests, with the installed packages: for what builds into `dist`, which the project's own may be in use. */
import { cp, mkdir, symlink } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const COPIED = ['lib', 'adapters', 'deploy', 'docs', 'README.md', 'LICENSE', 'CHANGELOG.md', 'package.json', 'tsconfig.json', 'tsconfig.build.json'];

/** The pinned Node before any other, also for the `node` in scripts and in `#!` lines. */
export const pinnedNode: NodeJS.ProcessEnv = { ...process.env, PATH: `${dirname(process.execPath)}${delimiter}${process.env['PATH']}` };

export async function copyProject(folder: string): Promise<void> {
  await mkdir(folder);
  for (const name of COPIED) await cp(join(ROOT, name), join(folder, name), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
}
