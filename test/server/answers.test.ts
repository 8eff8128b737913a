/** What the server answers to each request of the table; every user has nothing yet, and no request leaves a file behind. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ERROR_STATUS } from '../../lib/errors.ts';
import { ANSWERS } from './answers.ts';
import { runningServer, type RunningServer } from './running-server.ts';
import { until } from './until.ts';

let server: RunningServer;
before(async () => {
  server = await runningServer();
});
after(() => server.stop());

for (const [group, questions] of Object.entries(ANSWERS)) {
  describe(`answers: ${group}`, () => {
    for (const { sentence, ask, answer } of questions) {
      it(`${sentence}: ${answer.code ?? answer.status}`, async () => {
        const user = await server.newUser();
        const response = await ask(user);
        const text = response.body.toString('latin1');
        assert.equal(response.status, answer.status, text.slice(0, 200));
        if (answer.code === undefined) {
          if (typeof answer.text === 'string') assert.equal(text, answer.text);
          else if (answer.text !== undefined) assert.match(text, answer.text);
        } else {
          assert.equal(text.split(':', 1)[0], answer.code);
          assert.equal(ERROR_STATUS[answer.code], answer.status);
          assert.equal(server.log.at(-1)!.code, answer.code, 'the code in the log');
        }
        assert.equal(server.log.at(-1)!.status, answer.status, 'the status in the log');
        await until(() => server.stagedFiles().length === 0);
      });
    }
  });
}

describe('the envelope of an answer', () => {
  it('is a zstd frame with its size to version 11, and the bare bytes to older ones; nobody on the way may keep or pack it', async () => {
    const user = await server.newUser();
    for (const [ask, length] of [[user.post('abort', {}), 4], [user.post('upload', Buffer.from('garbage')), 75]] as const) {
      const { headers, wire, body } = await ask;
      assert.equal(headers['anki-original-size'], String(length));
      assert.equal(body.length, length);
      assert.equal(wire.readUInt32LE(0), 0xfd2fb528, "a zstd frame's magic number");
      assert.equal(headers['content-type'], 'application/octet-stream');
      assert.equal(headers['content-encoding'], undefined);
      assert.equal(headers['cache-control'], 'no-store, no-transform');
    }
    for (const version of [8, 9, 10]) {
      const { headers, wire } = await user.post('abort', {}, { version });
      assert.deepEqual([wire.toString(), headers['anki-original-size']], ['null', undefined]);
    }
  });

  it('of an error is words, not a frame', async () => {
    const { headers, wire } = await (await server.newUser()).post('chunk', {});
    assert.equal(headers['anki-original-size'], undefined);
    assert.equal(headers['content-type'], 'text/plain; charset=utf-8');
    assert.equal(wire.toString(), 'SYNC_NOT_ACTIVE: no sync is running');
  });

  it('of a wrong HTTP method tells the right one', async () => {
    assert.equal((await (await server.newUser()).get('sync/meta')).headers.allow, 'POST');
  });
});
