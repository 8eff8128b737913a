/** Servers that are old, wrong about the time, refuse, or are not ours. */
import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { DoctorReport } from '../../lib/doctor/echo.ts';
import { isOlder } from '../../lib/doctor/checks/version.ts';
import { seesTheProxy } from '../../lib/doctor/checks/place.ts';
import { startOfficialServer } from '../oracle/official-server.ts';
import { PASSWORD, runningServer } from '../server/running-server.ts';
import { examined, warningsOf, wordsOf, wrongOf } from './examined.ts';
import { brokenProxy, listening } from './proxy.ts';

/** A real server whose word of itself is changed on its way. */
async function saying(t: TestContext, change: (report: DoctorReport) => Partial<DoctorReport>): Promise<string> {
  const server = await runningServer();
  t.after(() => server.stop());
  return listening(t, (req, res) => {
    void (async () => {
      const headers = Object.fromEntries(Object.entries(req.headers).filter(([name]) => !/^(connection|transfer-encoding|host)$/.test(name))) as Record<string, string>;
      const pieces: Buffer[] = [];
      for await (const piece of req as AsyncIterable<Buffer>) pieces.push(piece);
      const answer = await fetch(new URL(req.url!, server.url), { method: 'POST', headers, body: Buffer.concat(pieces) });
      let body = Buffer.from(await answer.arrayBuffer());
      if (answer.status === 200 && req.url!.includes('doctor')) {
        const report = JSON.parse(zstdDecompressSync(body).toString()) as DoctorReport;
        body = zstdCompressSync(JSON.stringify({ ...report, ...change(report) }));
      }
      const size = answer.headers.get('anki-original-size');
      res.writeHead(answer.status, size === null ? {} : { 'anki-original-size': size }).end(body);
    })().catch(() => res.destroy());
  });
}

describe('A server', { concurrency: 3 }, () => {
  test('whose version is behind this one', async (t) => {
    const findings = await examined(await saying(t, () => ({ version: '0.0.9' })));
    assert.ok(warningsOf(findings).includes('SERVER_OLD'), JSON.stringify(findings));
    assert.match(wordsOf(findings, 'SERVER_OLD'), /the server is 0\.0\.9/);
  });

  test('that is too old to be examined', async (t) => {
    const server = await runningServer();
    t.after(() => server.stop());
    const old = await brokenProxy(t, server.url, {
      instead: (req, res) => req.url!.includes('doctor') && res.writeHead(400).end('METHOD_UNKNOWN: no such method of /sync') !== undefined,
    });
    const findings = await examined(old, { user: { name: 'kim', password: PASSWORD } });
    assert.deepEqual([wrongOf(findings), warningsOf(findings)], [[], ['SERVER_OLD']]);
    assert.ok(findings.some(({ check, mark }) => check === 'media state' && mark === 'right'));
  });

  test('that answers no examinations', async (t) => {
    const server = await runningServer({ doctor: false });
    t.after(() => server.stop());
    const findings = await examined(server.url, { user: { name: 'kim', password: PASSWORD } });
    assert.deepEqual([wrongOf(findings), warningsOf(findings).filter((code) => code === 'SERVER_OLD')], [[], []]);
    assert.match(findings.find(({ check }) => check === 'version')!.words, /answers no examinations .*DOCTOR/);
    assert.ok(findings.some(({ check, mark }) => check === 'media state' && mark === 'right'));
  });

  for (const [minutes, words] of [[-10, /10 minutes behind/], [180, /3 hours ahead of/]] as const) {
    test(`whose clock is ${minutes} minutes off`, async (t) => {
      const findings = await examined(await saying(t, ({ timeMillis }) => ({ timeMillis: timeMillis + minutes * 60_000 })));
      assert.deepEqual(wrongOf(findings), ['CLOCK_WRONG']);
      assert.match(wordsOf(findings, 'CLOCK_WRONG'), words);
    });
  }

  test('that is busy for a moment is asked again, and one that stays so is left alone', async (t) => {
    const server = await runningServer();
    t.after(() => server.stop());
    let refused = 0;
    const busy = (times: number): Promise<string> => brokenProxy(t, server.url, {
      instead: (req, res) => req.url!.includes('doctor') && refused++ < times && res.writeHead(503, { 'retry-after': '1' }).end('BUSY') !== undefined,
    });
    assert.deepEqual(wrongOf(await examined(await busy(2))), []);
    refused = 0;
    const findings = await examined(await busy(Infinity));
    assert.deepEqual(wrongOf(findings), []);
    assert.match(findings.find(({ check }) => check === 'server')?.words ?? '', /try again in a minute/);
  });

  test('that refuses the password', async (t) => {
    const server = await runningServer();
    t.after(() => server.stop());
    const findings = await examined(server.url, { user: { name: 'kim', password: 'wrong-and-secret' } });
    assert.deepEqual(wrongOf(findings), ['PASSWORD_WRONG']);
    assert.doesNotMatch(JSON.stringify(findings), /wrong-and-secret/);
  });

  test('whose words would steer a terminal is quoted without them', async (t) => {
    const findings = await examined(await saying(t, () => ({ version: '9.9.9\x1b[2J\r\nx' })));
    assert.doesNotMatch(JSON.stringify(findings), /\\u001b|\\r|\\n/);
  });
});

describe('The official server', { concurrency: 2 }, () => {
  const user = { name: 'kim', password: 'secret' };
  const official = async (t: TestContext): Promise<string> => {
    const server = await startOfficialServer({ users: { kim: 'secret' } });
    t.after(() => server.stop());
    return server.url;
  };

  test('is taken for one, and what can be seen of it is', async (t) => {
    const findings = await examined(await official(t), { user });
    assert.deepEqual(wrongOf(findings), [], JSON.stringify(findings));
    for (const check of ['anki-sync header', 'media', 'sign-in', 'clock', 'collection state', 'media state']) {
      assert.equal(findings.find((finding) => finding.check === check)?.mark, 'right', check);
    }
  });

  test('behind a proxy with faults: headers, a limit, a path', async (t) => {
    const url = await official(t);
    const of = async (faults: Parameters<typeof brokenProxy>[2], path = ''): Promise<unknown> => wrongOf(await examined((await brokenProxy(t, url, faults)) + path, { user }));
    assert.deepEqual(await of({ withoutAnswerHeader: 'anki-original-size' }), ['ANSWER_HEADER_LOST']);
    assert.deepEqual(await of({ maxBodyBytes: 1_000_000 }), ['BODY_LIMIT']);
    assert.deepEqual(await of({}, 'anki/'), ['SOMETHING_ELSE']);
    assert.ok((await of({ withoutRequestHeader: 'anki-sync' }) as string[]).includes('REQUEST_HEADER_LOST'));
  });
});

test('versions are compared by their numbers', () => {
  assert.ok(isOlder('0.9.0', '0.10.0') && isOlder('1.2.3', '2.0.0') && isOlder('1.2.3', '1.2.4'));
  assert.ok(!isOlder('1.2.3', '1.2.3') && !isOlder('2.0.0', '1.9.9') && !isOlder('1.2.3-beta', '1.2.3'));
});

test('a server that takes the proxy for everybody is found out by the address that it tells', () => {
  assert.ok(seesTheProxy({ address: '127.0.0.1', headers: [] }, '203.0.113.5'));
  assert.ok(seesTheProxy({ address: '::ffff:172.18.0.2', headers: ['x-forwarded-for'] }, '203.0.113.5'));
  assert.ok(!seesTheProxy({ address: '198.51.100.7', headers: ['x-forwarded-for'] }, '203.0.113.5'));
  assert.ok(!seesTheProxy({ address: '127.0.0.1', headers: ['x-forwarded-for'] }, '127.0.0.1'));
  assert.ok(!seesTheProxy({ address: '192.168.1.9', headers: [] }, '203.0.113.5'), 'a router that leads back in');
});
