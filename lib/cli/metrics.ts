/** Metrics for Prometheus, from the entries of the log and from what happens now. No label holds a user name, an address or a path. */
import { createRequire } from 'node:module';
import type { Counter, Histogram } from 'prom-client';
import type { Activity } from '../activity.ts';
import { ERROR_STATUS } from '../errors.ts';
import type { LogEntry } from '../options.ts';
import { MEDIA_METHODS, SYNC_METHODS } from '../protocol/methods.ts';
import { freeBytes } from '../storage/files/readiness.ts';
import { UsageError } from './usage-error.ts';

export interface Metrics {
  observe(entry: LogEntry): void;
  /** In the text format of Prometheus. */
  text(): Promise<string>;
  contentType: string;
}

export interface MetricsSources {
  version: string;
  base: string;
  activity(): Activity;
  /** Seconds since 1970; left out of a server without a certificate. */
  certificateEndsSecs?: () => number;
}

const REQUEST_SECS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60];
const SYNC_SECS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800];

const LOGINS: Readonly<Record<string, string>> = {
  'login.ok': 'ok', 'login.refused': 'refused', 'login.limited': 'limited', 'login.unavailable': 'unavailable',
};

const CONFLICTS: ReadonlySet<string> = new Set(['SYNC_TAKEN_OVER', 'SYNC_NOT_ACTIVE']);

/** @throws UsageError where prom-client is not installed, which is needed for this alone */
export function createMetrics(sources: MetricsSources): Metrics {
  const prometheus = library();
  const registry = new prometheus.Registry();
  const registers = [registry];
  prometheus.collectDefaultMetrics({ register: registry });
  const counter = <T extends string>(name: string, help: string, labelNames: readonly T[] = []): Counter<T> =>
    new prometheus.Counter({ name: `anki_sync_${name}`, help, labelNames: [...labelNames], registers });
  const histogram = <T extends string>(name: string, help: string, labelNames: readonly T[], buckets: number[]): Histogram<T> =>
    new prometheus.Histogram({ name: `anki_sync_${name}`, help, labelNames: [...labelNames], buckets, registers });
  const gauge = (name: string, help: string, now: () => number): void => {
    new prometheus.Gauge({
      name: `anki_sync_${name}`,
      help,
      registers,
      collect() {
        this.set(now());
      },
    });
  };

  const requests = histogram('request_duration_seconds', 'Time until an answer was ready, by method of the protocol', ['method'], REQUEST_SECS);
  const answers = counter('answers_total', 'Answers by status', ['status']);
  const syncs = histogram('sync_duration_seconds', 'Finished syncs from their first request on; upload and download go one way', ['kind'], SYNC_SECS);
  const objects = counter('objects_total', 'Cards, notes and so on, or media files, that finished syncs moved', ['kind', 'direction']);
  const bytes = counter('bytes_total', 'Data of requests (up) and answers (down), unpacked', ['direction']);
  const conflicts = counter('conflicts_total', 'Steps of syncs that another device took over, or that had ended', ['code']);
  const failures = counter('failures_total', 'Requests that failed, by code of the table of errors', ['code']);
  const sanity = counter('sanity_check_failures_total', 'Syncs at whose end client and server had different counts');
  const logins = counter('logins_total', 'Logins by outcome', ['outcome']);
  const uploadsRefused = counter('uploads_refused_total', 'One-way uploads that changed nothing');

  // names from the tables alone: whatever else comes has no label of its own
  const methods = new Map([...Object.keys(SYNC_METHODS), ...Object.keys(MEDIA_METHODS)].map((method) => [method, requests.labels({ method })]));
  const other = requests.labels({ method: 'other' });
  const [up, down] = [bytes.labels({ direction: 'up' }), bytes.labels({ direction: 'down' })];
  const statuses = new Map<number, Counter.Internal>();
  for (const outcome of Object.values(LOGINS)) logins.inc({ outcome }, 0);
  for (const code of CONFLICTS) conflicts.inc({ code }, 0);
  // Prometheus sees no increase in a series that begins at 1: without these, the first failure of a kind would raise no alert
  for (const code of [...Object.keys(ERROR_STATUS), 'CLIENT_GONE', 'OTHER']) failures.inc({ code }, 0);

  new prometheus.Gauge({ name: 'anki_sync_info', help: 'Version of the server', labelNames: ['version'], registers }).set({ version: sources.version }, 1);
  gauge('open_collections', 'Users whose data are open', () => sources.activity().openCollections);
  gauge('threads', 'Worker threads', () => sources.activity().threads);
  gauge('running_requests', 'Requests without an answer so far', () => sources.activity().requests.length);
  gauge('running_syncs', 'Syncs that have begun', () => sources.activity().syncs.length);
  const { certificateEndsSecs } = sources;
  if (certificateEndsSecs !== undefined) gauge('certificate_expiry_seconds', 'When the certificate ends, in seconds since 1970', certificateEndsSecs);
  new prometheus.Gauge({
    name: 'anki_sync_disk_free_bytes',
    help: 'Free on the disk of the data folder',
    registers,
    async collect() {
      const free = await freeBytes(sources.base).catch(() => undefined);
      if (free !== undefined) this.set(free);
    },
  });
  new prometheus.Gauge({
    name: 'anki_sync_queue_length',
    help: 'What waits: calls for another one of the same user (users), logins for their turn, uploads for their check',
    labelNames: ['queue'],
    registers,
    collect() {
      for (const [queue, length] of Object.entries(sources.activity().queues)) this.set({ queue }, length);
    },
  });

  const observeRequest = (entry: LogEntry): void => {
    (methods.get(entry.request) ?? other).observe(entry.ms / 1000);
    let answer = statuses.get(entry.status);
    if (answer === undefined) {
      answer = answers.labels({ status: String(entry.status) });
      statuses.set(entry.status, answer);
    }
    answer.inc();
    if (entry.receivedBytes !== undefined) up.inc(entry.receivedBytes);
    if (entry.sentBytes) down.inc(entry.sentBytes);
  };

  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    observe(entry) {
      const { event, sync, code } = entry;
      if (sync !== undefined) {
        syncs.observe({ kind: sync.kind }, entry.ms / 1000);
        objects.inc({ kind: sync.kind, direction: 'up' }, sync.up.objects);
        objects.inc({ kind: sync.kind, direction: 'down' }, sync.down.objects);
        return;
      }
      if (isRequest(entry)) observeRequest(entry);
      if (code !== undefined) {
        failures.inc({ code: Object.hasOwn(ERROR_STATUS, code) || code === 'CLIENT_GONE' ? code : 'OTHER' });
        if (CONFLICTS.has(code)) conflicts.inc({ code });
      }
      if (event === undefined) return;
      const outcome = LOGINS[event];
      if (outcome !== undefined) logins.inc({ outcome });
      else if (event === 'sanity.bad') sanity.inc();
      else if (event === 'upload.refused') uploadsRefused.inc();
    },
  };
}

/** Notes beside requests have neither: a version, a failure, or an HTTP method. */
function isRequest({ request, version, status }: LogEntry): boolean {
  return version !== undefined || status >= 400 || request.includes(' ');
}

function library(): typeof import('prom-client') {
  try {
    return createRequire(import.meta.url)('prom-client') as typeof import('prom-client');
  } catch {
    throw new UsageError('METRICS needs the package prom-client: npm install prom-client@15');
  }
}
