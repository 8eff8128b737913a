import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { doctorFlags } from '../../lib/cli/doctor.ts';
import { REMEDIES, type Fault } from '../../lib/doctor/faults.ts';
import { FAULTS } from '../proxies/faults.ts';
import { ROOT } from '../package/project-copy.ts';
import { remedyRow } from './remedy-row.ts';

const page = await readFile(join(ROOT, 'docs/doctor.md'), 'utf8');
const codes = Object.keys(REMEDIES) as Fault[];

test('docs/doctor.md has every fault with its remedy, and names none that does not exist', () => {
  for (const code of codes) assert.ok(page.includes(`${remedyRow(code)}\n`), remedyRow(code));
  for (const [code] of page.matchAll(/\b[A-Z]+(_[A-Z\d]+)+\b/g)) assert.ok(code in REMEDIES, code);
});

test('docs/doctor.md has every flag', () => {
  for (const [flag, kind] of Object.entries(doctorFlags)) assert.match(page, new RegExp(`^\\| \`--${flag}${kind === 'switch' ? '' : ' [A-Z]+'}\` \\|`, 'm'));
});

test('docs/doctor.md leads from each message that the tests hear from the real Anki to a fault', () => {
  const [, table = ''] = /## By what Anki shows\n(.*?)\n## /s.exec(page) ?? [];
  for (const { says } of FAULTS) assert.ok(table.includes(says.replace(/^(code: 308, context: ").*/, '$1')), says);
});
