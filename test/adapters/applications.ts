/** One small application per framework, with the core below /anki: what the bridges have to do alike is tried in each. */
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { serve, type ServerType } from '@hono/node-server';
import express from 'express';
import fastify, { type FastifyInstance } from 'fastify';
import { Hono } from 'hono';
import { compress } from 'hono/compress';
import Koa from 'koa';
import { expressSync } from '../../adapters/express/index.ts';
import type { Handler } from '../../adapters/express/exchange.ts';
import { fastifySync } from '../../adapters/fastify/index.ts';
import { fetchSync } from '../../adapters/fetch/index.ts';
import { honoSync } from '../../adapters/hono/index.ts';
import { koaSync } from '../../adapters/koa/index.ts';

export interface ApplicationOptions {
  trustedProxies?: string[];
  signedInUser?: () => any;
  /** Something in front of the core reads all bodies. */
  readsBodies?: boolean;
}

export interface Application {
  name: string;
  /** What it says where neither it nor the core knows a path. */
  notFound: string;
  start(t: TestContext, server: Handler, options?: ApplicationOptions): Promise<number>;
}

const OWN = 'not found in the application';

/** The yardstick. */
export const inExpress: Application = {
  name: 'Express',
  notFound: OWN,
  async start(t, server, { readsBodies, ...options } = {}) {
    const app = express().disable('x-powered-by');
    if (readsBodies) app.use(express.raw({ type: () => true }));
    app.use('/anki', expressSync(server, options));
    app.use((_req, res) => void res.status(404).send(OWN));
    return listening(t, app.listen(0, '127.0.0.1'));
  },
};

export const inFastify: Application = {
  name: 'Fastify',
  notFound: OWN,
  async start(t, server, { readsBodies, ...options } = {}) {
    const app = fastify({ bodyLimit: 1000 });
    // parsers of the application, which must not reach into the plugin
    app.addContentTypeParser('application/octet-stream', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
    if (readsBodies) {
      app.addHook('preParsing', async (_request, _reply, payload) => {
        for await (const _ of payload);
        return undefined;
      });
    }
    app.setNotFoundHandler((_request, reply) => void reply.code(404).send(OWN));
    app.get('/hello', async () => 'from the application');
    app.register(fastifySync(server, options), { prefix: '/anki' });
    return listeningFastify(t, app);
  },
};

export const inKoa: Application = {
  name: 'Koa',
  notFound: OWN,
  async start(t, server, { readsBodies, ...options } = {}) {
    const app = new Koa();
    app.silent = true;
    app.use(async (ctx, next) => {
      if (readsBodies) for await (const _ of ctx.req);
      await next();
      // as response-time and its like
      ctx.set('x-after', 'everything');
    });
    app.use(koaSync(server, { mountPath: '/anki', ...options }));
    app.use((ctx) => {
      ctx.status = ctx.path === '/hello' ? 200 : 404;
      ctx.body = ctx.path === '/hello' ? 'from the application' : OWN;
    });
    return listening(t, app.listen(0, '127.0.0.1'));
  },
};

export const inHono: Application = {
  name: 'Hono',
  notFound: OWN,
  async start(t, server, { readsBodies, ...options } = {}) {
    const app = new Hono();
    app.use(compress({ threshold: 0, contentTypeFilter: () => true }));
    if (readsBodies) app.use(async (c, next) => (await c.req.text(), next()));
    app.all('/anki/*', honoSync(server, options));
    app.get('/hello', (c) => c.text('from the application'));
    app.notFound((c) => c.text(OWN, 404));
    app.onError((_error, c) => c.text('told', 500));
    return listening(t, serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' }));
  },
};

export const asFetchHandler: Application = {
  name: 'a fetch handler',
  notFound: 'PATH_UNKNOWN',
  async start(t, server, { readsBodies, ...options } = {}) {
    const handler = fetchSync(server, { mountPath: '/anki', ...options });
    return listening(t, serve({
      async fetch(request, info) {
        if (readsBodies) await request.arrayBuffer();
        return new URL(request.url).pathname === '/hello' ? new Response('from the application') : handler(request, info);
      },
      port: 0,
      hostname: '127.0.0.1',
    }));
  },
};

async function listening(t: TestContext, server: Server | ServerType): Promise<number> {
  t.after(() => {
    server.close();
    (server as Server).closeAllConnections();
  });
  if (!server.listening) await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

export async function listeningFastify(t: TestContext, app: FastifyInstance): Promise<number> {
  t.after(async () => {
    app.server.closeAllConnections();
    await app.close();
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  return (app.server.address() as AddressInfo).port;
}
