/** The dashboard and the alerts ask for what the server really tells. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { createMetrics } from '../../lib/cli/metrics.ts';
import { ERROR_STATUS } from '../../lib/errors.ts';
import { run } from '../oracle/anki-python.ts';
import { ROOT } from '../package/project-copy.ts';
import { promtool } from './promtool.ts';

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

test('each code of a failure is told from the start, since Prometheus sees no increase in what begins at 1', async () => {
  const metrics = createMetrics({ version: '1.2.3', base: '.', activity: () => NOTHING });
  const text = await metrics.text();
  for (const code of Object.keys(ERROR_STATUS)) assert.match(text, new RegExp(`^anki_sync_failures_total\\{code="${code}"\\} 0$`, 'm'));
});

const tool = await promtool();
const skip = tool === undefined ? 'promtool is not here, and only root could fetch it (Debian: prometheus)' : false;

test('Prometheus reads the configuration and its alerts', { skip }, async () => {
  assert.match(await run(tool!, ['check', 'config', join(ROOT, 'adapters/prometheus/scrape.yml')]), /SUCCESS: \d+ rules found/);
});

test('Prometheus reads every query of the dashboard', { skip }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'anki-sync-dashboard-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const { panels } = JSON.parse(await file('dashboard.json')) as { panels: { targets: { expr: string }[] }[] };
  const queries = panels.flatMap(({ targets }) => targets).map(({ expr }) => expr.replaceAll(/\$__(rate_interval|range|interval)/g, '5m'));
  // JSON is YAML; a query is read as the expression of a rule
  const rules = queries.map((expr, i) => ({ record: `query_${i}`, expr }));
  await writeFile(join(folder, 'rules.yml'), JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
  assert.match(await run(tool!, ['check', 'rules', join(folder, 'rules.yml')]), new RegExp(`SUCCESS: ${queries.length} rules found`));
});

test('alerts are raised when they should be, and not before', { skip }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'anki-sync-alerts-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'alerts.yml'), await file('alerts.yml'));
  const series = [
    ['up{job="anki-sync", instance="down"}', '0x20'],
    ['up{job="anki-sync", instance="up"}', '1x20'],
    ['anki_sync_disk_free_bytes{instance="full"}', '1e8x20'],
    ['anki_sync_disk_free_bytes{instance="empty"}', '1e12x20'],
    ['anki_sync_failures_total{instance="broken", code="COLLECTION_DAMAGED"}', '0 1x19'],
    ['anki_sync_failures_total{instance="guessed", code="PASSWORD_WRONG"}', '0+1x20'],
    ['anki_sync_logins_total{instance="guessed", outcome="refused"}', '0+30x20'],
    ['anki_sync_certificate_expiry_seconds{instance="ends"}', '100000x20'],
    ['anki_sync_certificate_expiry_seconds{instance="lasts"}', '9000000x20'],
  ];
  const raised: [string, string, object, string][] = [
    ['AnkiSyncDown', 'down', { job: 'anki-sync', severity: 'critical' }, 'The sync server down does not answer'],
    ['AnkiSyncDiskAlmostFull', 'full', { severity: 'critical' }, 'full has 95.37MiB left; syncs fail when nothing is left'],
    ['AnkiSyncServerErrors', 'broken', { code: 'COLLECTION_DAMAGED', severity: 'critical' }, 'broken fails with COLLECTION_DAMAGED; the log says more'],
    ['AnkiSyncPasswordsGuessed', 'guessed', { severity: 'warning' }, 'guessed refuses many logins: somebody guesses passwords, or a device has an old one'],
    ['AnkiSyncCertificateEnds', 'ends', { severity: 'warning' }, 'The certificate of ends ends in 1d 3h 31m 40s'],
  ];
  const expected = (name: string, minute: string): object => ({
    eval_time: minute,
    alertname: name,
    exp_alerts: minute === '0m' ? [] : raised.filter(([each]) => each === name).map(([, instance, labels, summary]) => ({
      exp_labels: { instance, ...labels }, exp_annotations: { summary },
    })),
  });
  const tests = [{
    interval: '1m',
    input_series: series.map(([name, values]) => ({ series: name, values })),
    // a certificate is judged at once, all others by what happened
    alert_rule_test: raised.flatMap(([name]) => (name === 'AnkiSyncCertificateEnds' ? ['15m'] : ['0m', '15m']).map((minute) => expected(name, minute))),
  }];
  await writeFile(join(folder, 'test.yml'), JSON.stringify({ rule_files: ['alerts.yml'], tests }));
  await run(tool!, ['test', 'rules', 'test.yml'], { cwd: folder });
});

test('what the server tells reads as metrics should, by the rules of Prometheus', { skip }, async () => {
  const metrics = createMetrics({ version: '1.2.3', base: '.', activity: () => NOTHING, certificateEndsSecs: () => 1 });
  // those of Node.js and the process are not ours to name
  const ours = (await metrics.text()).split('\n').filter((line) => /^(# \w+ )?anki_sync_/.test(line)).join('\n');
  assert.equal(await run(tool!, ['check', 'metrics'], { input: `${ours}\n` }), '');
});
