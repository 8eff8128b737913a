/** Where Prometheus gets the metrics: on a port of their own, or at `/metrics` of the server's. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { closeListener, listen } from './listener.ts';
import type { Metrics } from './metrics.ts';
import type { MetricsSettings } from './observation-settings.ts';

const { createServer } = process.getBuiltinModule('node:http');

type Handler = (req: IncomingMessage, res: ServerResponse) => void;

/** Answers `GET /metrics`; whoever lacks the token is told 401, and nothing else. */
export function metricsHandler(metrics: Metrics, token: string | undefined): Handler {
  return (req, res) => {
    if (req.method !== 'GET' && req.method !== 'HEAD') return answer(res, 405, 'only GET\n', { allow: 'GET' });
    if (token !== undefined && !isToken(req.headers.authorization, token)) {
      return answer(res, 401, 'the token is missing or wrong\n', { 'www-authenticate': 'Bearer' });
    }
    metrics.text().then(
      (text) => answer(res, 200, text, { 'content-type': metrics.contentType }),
      () => answer(res, 500, 'the metrics could not be gathered\n'),
    );
  };
}

export function isMetricsPath(url: string | undefined): boolean {
  return /^\/metrics\/?(\?|$)/.test(url ?? '');
}

/** @throws UsageError when the address cannot be used */
export async function listenForMetrics(
  handler: Handler,
  at: Exclude<MetricsSettings['at'], 'path'>,
): Promise<{ server: Server; close(): Promise<void> }> {
  const server = createServer((req, res) => (isMetricsPath(req.url) ? handler(req, res) : answer(res, 404, 'only /metrics\n')));
  server.maxConnections = 32;
  await listen(server, at);
  return { server, close: () => closeListener(server, 1_000) };
}

function answer(res: ServerResponse, status: number, text: string, headers: Record<string, string> = {}): void {
  const body = Buffer.from(text);
  res.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store', ...headers, 'content-length': body.length });
  res.end(body);
}

/** Digests are of one length, and take as long whatever was sent. */
function isToken(authorization: string | undefined, token: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(authorization ?? ''), digest(`Bearer ${token}`));
}
