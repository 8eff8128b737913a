/** A real browser: Debian's chromium, driven by playwright-core. */
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium, type Browser, type LaunchOptions } from 'playwright-core';
import { run } from '../oracle/anki-python.ts';

const CHROMIUM = '/usr/bin/chromium';

/** The program is there before its package is complete, while another suite installs it. */
async function isThere(): Promise<boolean> {
  if (!existsSync(CHROMIUM)) return false;
  if (!existsSync('/usr/bin/dpkg-query')) return true;
  return run('dpkg-query', ['-W', '-f', '${Status}', 'chromium']).then((status) => status === 'install ok installed', () => true);
}

/** False where chromium is, or could be installed; else the reason why tests are skipped. For root on Debian it must be there. */
export async function chromiumMissing(): Promise<string | false> {
  if (await isThere()) return false;
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return 'chromium is not installed, and only root could install it';
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const wait = ['-qq', '-o', 'DPkg::Lock::Timeout=300'];
  for (let attempt = 1; !(await isThere()); attempt++) {
    try {
      await run('apt-get', [...wait, 'update'], { env });
      // fonts: without any, chromium draws no text, and measures none
      await run('apt-get', [...wait, 'install', '-y', '--no-install-recommends', 'chromium', 'fonts-dejavu-core'], { env });
    } catch (error) {
      // another suite installs at the same time
      if (attempt === 60 || !/lock/i.test(String(error))) throw error;
      await sleep(2000);
    }
  }
  return false;
}

export async function startChromium(options: LaunchOptions = {}): Promise<Browser> {
  return chromium.launch({
    executablePath: CHROMIUM,
    // root has no sandbox, and containers have a small /dev/shm
    args: [...(process.getuid?.() === 0 ? ['--no-sandbox'] : []), '--disable-dev-shm-usage', '--disable-gpu'],
    timeout: 120_000,
    ...options,
  });
}
