/** `npm run hostile -- [--files 20000] [--seed 7]`: more mutated collections than `npm test` uploads, and the largest ones in full size. */
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: { files: { type: 'string', default: '20000' }, seed: { type: 'string' } } });
const seed = values.seed ?? String(Math.floor(Math.random() * 1e9));
const { status } = spawnSync(process.execPath, ['--test', 'test/hostile/mutated-collections.test.ts', 'test/hostile/large-collections.test.ts'], {
  env: { ...process.env, HOSTILE_FILES: values.files, HOSTILE_SEED: seed },
  stdio: 'inherit',
});
process.exit(status ?? 1);
