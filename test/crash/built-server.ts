/** The server as it is published, in JavaScript: it starts in half the time, which counts when it starts a thousand times. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Compiles the checkout at `root` into a temporary folder, which the caller removes. Type errors are the type check's business. */
export function builtServer(root: string = ROOT): { root: string; remove(): void } {
  const target = mkdtempSync(join(tmpdir(), 'anki-sync-built-'));
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  const { stdout } = spawnSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json'), '--outDir', target, '--declaration', 'false'], { encoding: 'utf8' });
  if (!existsSync(join(target, 'lib', 'bin.js'))) throw new Error(`the server was not compiled:\n${stdout}`);
  copyFileSync(join(root, 'package.json'), join(target, 'package.json'));
  symlinkSync(join(ROOT, 'node_modules'), join(target, 'node_modules'));
  return { root: target, remove: () => rmSync(target, { recursive: true, force: true }) };
}
