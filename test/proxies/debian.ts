/** The real proxies, as Debian packages them. */
import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../oracle/anki-python.ts';

/** What a suite needs, and the package that has it. Not `apache2`, whose configuration and service nobody needs here. */
const PACKAGES: Record<string, string> = {
  '/usr/sbin/nginx': 'nginx',
  '/usr/lib/nginx/modules/ngx_http_js_module.so': 'libnginx-mod-http-js',
  '/usr/bin/caddy': 'caddy',
  '/usr/sbin/apache2': 'apache2-bin',
  '/usr/sbin/haproxy': 'haproxy',
};

/** Asked by what a package does after it was installed: 101 says that it may start no service. */
const POLICY = '/usr/sbin/policy-rc.d';

/**
 * False where they are, or could be installed; else the reason why tests are skipped. For root on Debian they must be there.
 *
 * @param wanted packages; default all
 */
export async function proxiesMissing(wanted: readonly string[] = Object.values(PACKAGES)): Promise<string | false> {
  const missing = (): string[] => Object.keys(PACKAGES).filter((file) => wanted.includes(PACKAGES[file]!) && !existsSync(file));
  if (missing().length === 0) return false;
  const packages = missing().map((file) => PACKAGES[file]!);
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return `not installed, and only root could install it: ${packages.join(', ')}`;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const wait = ['-qq', '-o', 'DPkg::Lock::Timeout=300'];
  const forbidden = await writeFile(POLICY, '#!/bin/sh\nexit 101\n', { flag: 'wx', mode: 0o755 }).then(() => true, () => false);
  try {
    for (let attempt = 1; missing().length > 0; attempt++) {
      try {
        await run('apt-get', [...wait, 'update'], { env });
        await run('apt-get', [...wait, 'install', '-y', '--no-install-recommends', ...packages], { env });
      } catch (error) {
        // another suite installs at the same time
        if (attempt === 60 || !/lock/i.test(String(error))) throw error;
        await sleep(2000);
      }
    }
  } finally {
    if (forbidden) await rm(POLICY, { force: true });
  }
  return false;
}
