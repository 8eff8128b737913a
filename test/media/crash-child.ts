/** A process that takes one step and is killed at its n-th operation: `crash-child.ts <base> <n> upload|settle [zip]`. */
import { copyFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { uploadChanges } from '../../lib/media/upload.ts';
import { settleMedia } from '../../lib/media/user-media.ts';
import { FolderMediaFiles } from '../../lib/storage/files/folder.ts';
import { SqliteMediaStore } from '../../lib/storage/sqlite/media.ts';

const [base, killAt, step, zip] = process.argv.slice(2) as [string, string, string, string];
let operations = 0;

function operation(name: string): void {
  operations += 1;
  if (operations !== Number(killAt)) return;
  writeSync(1, name);
  process.kill(process.pid, 'SIGKILL');
  for (;;);
}

const store = new SqliteMediaStore({ base });
const watched = new Proxy(store, {
  get: (target, key) => {
    const value = Reflect.get(target, key) as unknown;
    if (typeof value !== 'function' || !['apply', 'settled'].includes(String(key))) return typeof value === 'function' ? value.bind(target) : value;
    return async (...args: unknown[]) => {
      operation(`before ${String(key)}`);
      const result: unknown = await value.apply(target, args);
      operation(`after ${String(key)}`);
      return result;
    };
  },
});
const files = new FolderMediaFiles({ base, beforeOperation: ({ kind, target }) => operation(`${kind} ${target}`) });
const media = { store: watched, files, user: { userId: 'ada', folder: 'ada' } };

if (step === 'upload') {
  const path = join(await files.stagingFolder(media.user), 'body');
  copyFileSync(zip, path);
  await uploadChanges(media, path);
  await settleMedia(media);
} else {
  await settleMedia(media);
}
