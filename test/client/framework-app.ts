/** Small applications as users of the package write them, one per framework: a route of their own, the sync server below /anki. */
import { createServer, type Server, type ServerResponse } from 'node:http';
import { serve } from '@hono/node-server';
import connect from 'connect';
import type express from 'express';
// no types come under this name, and the two versions share what is used here
// @ts-expect-error
import express4 from 'express4';
import fastify from 'fastify';
import { Hono } from 'hono';
import Koa from 'koa';
import { expressSync } from '../../adapters/express/index.ts';
import { fastifySync } from '../../adapters/fastify/index.ts';
import { fetchSync } from '../../adapters/fetch/index.ts';
import { honoSync } from '../../adapters/hono/index.ts';
import { koaSync } from '../../adapters/koa/index.ts';
import { createSyncServer } from '../../lib/index.ts';

export type Framework = 'express4' | 'connect' | 'fastify' | 'koa' | 'hono' | 'fetch';

interface Arguments {
  framework: Framework;
  base: string;
  port: number;
  users: Record<string, string>;
  maxPayloadMegs?: number;
}
const { framework, base, port, users, maxPayloadMegs } = JSON.parse(process.argv[2] ?? '{}') as Arguments;

const sync = createSyncServer({
  base,
  ...(maxPayloadMegs === undefined ? {} : { maxPackedBytes: maxPayloadMegs * 1024 ** 2, maxUnpackedBytes: 3 * maxPayloadMegs * 1024 ** 2 }),
  authenticator: async ({ username, password }) => password !== '' && users[username] === password,
  log: (entry) => entry.level === 'error' && console.log(entry.request, entry.code, entry.detail),
});
await sync.ready;

const UP = 'the application is up';

/** Answers how the application ends. */
const applications: Record<Framework, () => Promise<() => unknown>> = {
  async express4() {
    const app = (express4 as typeof express)();
    app.use('/anki', expressSync(sync));
    app.get('/health', (_req, res) => void res.send(UP));
    return ending(app.listen(port, '127.0.0.1'));
  },
  async connect() {
    const app = connect();
    app.use('/anki', expressSync(sync));
    app.use('/health', (_req: unknown, res: ServerResponse) => void res.end(UP));
    return ending(createServer(app).listen(port, '127.0.0.1'));
  },
  async fastify() {
    const app = fastify({ forceCloseConnections: true });
    app.get('/health', async () => UP);
    app.register(fastifySync(sync), { prefix: '/anki' });
    await app.listen({ port, host: '127.0.0.1' });
    return () => app.close();
  },
  async koa() {
    const app = new Koa();
    app.use(koaSync(sync, { mountPath: '/anki' }));
    app.use((ctx) => {
      if (ctx.path === '/health') ctx.body = UP;
    });
    return ending(app.listen(port, '127.0.0.1'));
  },
  async hono() {
    const app = new Hono();
    app.all('/anki/*', honoSync(sync));
    app.get('/health', (c) => c.text(UP));
    return ending(serve({ fetch: app.fetch, port, hostname: '127.0.0.1' }) as Server);
  },
  async fetch() {
    const anki = fetchSync(sync, { mountPath: '/anki' });
    return ending(serve({
      fetch: (request, info) => (new URL(request.url).pathname === '/health' ? new Response(UP) : anki(request, info)),
      port,
      hostname: '127.0.0.1',
    }) as Server);
  },
};

function ending(listener: Server): () => Promise<void> {
  return async () => {
    const closed = new Promise((resolve) => listener.close(resolve));
    listener.closeAllConnections();
    await closed;
    await sync.close();
  };
}

const end = await applications[framework]();
process.once('SIGTERM', () => void Promise.resolve(end()).then(() => process.exit(0)));
