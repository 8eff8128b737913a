/** The dashboard and the alerts ask for what the server really tells. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';
import { createMetrics } from '../../lib/cli/metrics.ts';
import { ERROR_STATUS } from '../../lib/errors.ts';
import { ROOT } from '../package/project-copy.ts';

const NOTHING = { requests: [], syncs: [], openCollections: 0, threads: 0, queues: { users: 0, logins: 0, uploads: 0 } };
const file = (name: string): Promise<string> => readFile(`${ROOT}/adapters/prometheus/${name}`, 'utf8');

/** What Prometheus stores of what the server tells: of a histogram three series. */
async function exportedNames(): Promise<Set<string>> {
  const metrics = createMetrics({ version: '1.2.3', base: '.', activity: () => NOTHING, certificateEndsSecs: () => 1 });
  const text = await metrics.text();
  const names = new Set<string>();
  for (const [, name = '', type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    for (const suffix of type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']) names.add(name + suffix);
  }
  return names;
}

for (const name of ['dashboard.json', 'alerts.yml']) {
  test(`${name} names no metric that the server does not tell, and no code that is not in the table`, async () => {
    const text = await file(name);
    const exported = await exportedNames();
    const named = new Set([...text.matchAll(/\b(?:anki_sync|process|nodejs)_[a-z0-9_]+/g)].map(([metric]) => metric));
    assert.ok(named.size >= 5);
    for (const metric of named) assert.ok(exported.has(metric), metric);
    for (const [, codes = ''] of text.matchAll(/code=~?"([A-Z_|]+)"/g)) {
      for (const code of codes.split('|')) assert.ok(Object.hasOwn(ERROR_STATUS, code), code);
    }
  });
}

test('the dashboard shows every metric of ours', async () => {
  const dashboard = await file('dashboard.json');
  const { panels } = JSON.parse(dashboard) as { panels: { targets: { expr: string }[] }[] };
  assert.ok(panels.every(({ targets }) => targets.length > 0));
  for (const metric of await exportedNames()) {
    // of a histogram one series is enough, and the certificate has an alert
    if (!metric.startsWith('anki_sync_') || /_(sum|count|bucket)$|certificate/.test(metric)) continue;
    assert.ok(dashboard.includes(metric), metric);
  }
});
