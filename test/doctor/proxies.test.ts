/** A real server behind a proxy that is set up wrongly: the examination names the fault, and no other. */
import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import express from 'express';
import { expressSync } from '../../adapters/express/index.ts';
import { DEFAULT_SLOW_SECS } from '../../lib/doctor/visit.ts';
import { runningServer } from '../server/running-server.ts';
import { examined, warningsOf, wordsOf, wrongOf } from './examined.ts';
import { brokenProxy, listening, type ProxyFaults } from './proxy.ts';

async function behind(t: TestContext, faults: ProxyFaults): Promise<string> {
  const server = await runningServer();
  t.after(() => server.stop());
  return brokenProxy(t, server.url, faults);
}

describe('A server behind a proxy', { concurrency: 4 }, () => {
  test('that passes everything has nothing wrong', async (t) => {
    const findings = await examined(await behind(t, {}), { slowSecs: 1, bodyMib: 8 });
    assert.deepEqual([wrongOf(findings), warningsOf(findings)], [[], []], JSON.stringify(findings));
    assert.deepEqual(findings.filter(({ mark }) => mark === 'skipped').map(({ check }) => check), ['sign-in']);
  });

  test('or in an application at a path: nothing is wrong with it', async (t) => {
    const server = await runningServer();
    t.after(() => server.stop());
    const app = express();
    app.use('/anki', expressSync(server.server));
    const findings = await examined(`${await listening(t, app)}anki/`);
    assert.deepEqual([wrongOf(findings), warningsOf(findings)], [[], []], JSON.stringify(findings));
  });

  test('with a limit of 1 MB for bodies', async (t) => {
    const findings = await examined(await behind(t, { maxBodyBytes: 1_000_000 }));
    assert.deepEqual(wrongOf(findings), ['BODY_LIMIT']);
    assert.match(wordsOf(findings, 'BODY_LIMIT'), /^a body of 3 MiB does not pass, and of 512 KiB passes: (413 by broken|the connection was cut)/);
  });

  test('that collects bodies, and waits for them too short', async (t) => {
    const findings = await examined(await behind(t, { bodyMillis: 5_000 }), { slowSecs: 9 });
    assert.deepEqual(wrongOf(findings), ['PROXY_TIMEOUT']);
    assert.deepEqual(warningsOf(findings), ['BODIES_COLLECTED']);
    assert.match(wordsOf(findings, 'PROXY_TIMEOUT'), /^an upload of 9 s is ended after \d.*: 408 by broken$/);
  });

  test('that speaks HTTP/1.0 to it', async (t) => {
    const findings = await examined(await behind(t, { http10: 'collects' }));
    assert.deepEqual(wrongOf(findings), ['HTTP_1_0']);
  });

  test('that speaks HTTP/1.0 to it, and drops bodies that come in chunks', async (t) => {
    const findings = await examined(await behind(t, { http10: 'loses' }));
    assert.deepEqual(wrongOf(findings), ['HTTP_1_0', 'BODY_LOST']);
    assert.match(wordsOf(findings, 'BODY_LOST'), /0 arrive at the server/);
  });

  test('that takes no body without a length', async (t) => {
    const lengthRequired = await behind(t, {
      instead: (req, res) => req.headers['transfer-encoding'] !== undefined && res.writeHead(411).end() !== undefined,
    });
    assert.deepEqual(wrongOf(await examined(lengthRequired)), ['HTTP_1_0']);
  });

  test('that takes anki-original-size from answers', async (t) => {
    assert.deepEqual(wrongOf(await examined(await behind(t, { withoutAnswerHeader: 'anki-original-size' }))), ['ANSWER_HEADER_LOST']);
  });

  test('that takes anki-sync from requests', async (t) => {
    assert.deepEqual(wrongOf(await examined(await behind(t, { withoutRequestHeader: 'anki-sync' }))), ['REQUEST_HEADER_LOST']);
  });

  test('that packs answers once more', async (t) => {
    const findings = await examined(await behind(t, { gzips: true }));
    assert.deepEqual(wrongOf(findings), ['ANSWER_RECOMPRESSED']);
    assert.match(wordsOf(findings, 'ANSWER_RECOMPRESSED'), /\(gzip\)/);
  });

  test('that leaves its own path in', async (t) => {
    const findings = await examined(`${await behind(t, {})}anki/`);
    assert.deepEqual(wrongOf(findings), ['SUBPATH_NOT_STRIPPED']);
    assert.match(wordsOf(findings, 'SUBPATH_NOT_STRIPPED'), /\/anki\/sync\/doctor arrives/);
  });

  test('that doubles sync/', async (t) => {
    const doubling = await behind(t, { path: (path) => path.replace('/sync/', '/sync/sync/') });
    assert.deepEqual(wrongOf(await examined(doubling)), ['ADDRESS_DOUBLED_SYNC']);
  });

  test('that passes sync/ and not msync/', async (t) => {
    const half = await behind(t, { instead: (req, res) => req.url!.startsWith('/msync/') && res.writeHead(404).end() !== undefined });
    assert.deepEqual(wrongOf(await examined(half)), ['MEDIA_NOT_PASSED']);
  });

  test('that waits for an answer too short', async (t) => {
    const findings = await examined(await behind(t, { answerMillis: 5_000 }), { slowSecs: 9 });
    assert.deepEqual(wrongOf(findings), ['PROXY_TIMEOUT']);
    assert.ok(findings.some(({ words }) => /^an answer that begins after 9 s is ended after .*: 504 by broken$/.test(words)), JSON.stringify(findings));
  });

  test('that waits the 30 seconds of many proxies, and no more: by what is tried without being asked for', async (t) => {
    const findings = await examined(await behind(t, { answerMillis: 30_000, bodyMillis: 30_000 }), { slowSecs: DEFAULT_SLOW_SECS });
    assert.deepEqual(wrongOf(findings), ['PROXY_TIMEOUT']);
    assert.match(wordsOf(findings, 'PROXY_TIMEOUT'), /^an upload of 35 s is ended after \d+ s: 408 by broken$/);
  });

  test('that cuts whatever takes longer', async (t) => {
    const findings = await examined(await behind(t, { wholeMillis: 6_000 }), { slowSecs: 10 });
    assert.deepEqual(wrongOf(findings), ['PROXY_TIMEOUT']);
    assert.equal(findings.filter(({ fault }) => fault === 'PROXY_TIMEOUT').length, 4, 'up, pausing, silent and down');
  });

  test('that changes the address on the way is told what the server takes for its own', async (t) => {
    const renamed = await behind(t, { withoutRequestHeader: 'host' });
    assert.deepEqual(warningsOf(await examined(renamed)), ['PUBLIC_URL']);
  });
});

describe('In place of a server answers', () => {
  for (const status of [301, 302, 307, 308]) {
    test(`a redirection to https by ${status}`, async (t) => {
      const redirecting = await behind(t, {
        instead: (req, res) => res.writeHead(status, { location: `https://anki.example.org/cards${req.url}` }).end() !== undefined,
      });
      const findings = await examined(redirecting);
      assert.deepEqual(wrongOf(findings), ['HTTPS_REDIRECT']);
      assert.match(wordsOf(findings, 'HTTPS_REDIRECT'), /to https:\/\/anki\.example\.org\/cards\/,/);
    });
  }

  test('a page to sign in', async (t) => {
    const page = '<!doctype html><form action=/login><input name=user><input type=password name=p></form>';
    const portal = await behind(t, { instead: (_req, res) => res.writeHead(200, { 'content-type': 'text/html' }).end(page) !== undefined });
    assert.deepEqual(wrongOf(await examined(portal)), ['LOGIN_PAGE']);
  });

  test('single sign-on elsewhere', async (t) => {
    const portal = await behind(t, {
      instead: (_req, res) => res.writeHead(302, { location: 'https://sso.example.org/authorize?client_id=anki' }).end() !== undefined,
    });
    assert.deepEqual(wrongOf(await examined(portal)), ['LOGIN_PAGE']);
  });

  for (const [what, status, fault] of [
    ['a password of the proxy', 401, 'LOGIN_PAGE'],
    ['a refusal of the proxy', 403, 'PROXY_REFUSES'],
    ['a limit of the proxy', 429, 'LIMITED'],
    ['a proxy without its server', 502, 'SERVER_DOWN'],
    ['another site', 404, 'SOMETHING_ELSE'],
  ] as const) {
    test(`${what}: ${status}`, async (t) => {
      const proxy = await behind(t, { instead: (_req, res) => res.writeHead(status).end('<html>') !== undefined });
      assert.deepEqual(wrongOf(await examined(proxy)), [fault]);
    });
  }
});
