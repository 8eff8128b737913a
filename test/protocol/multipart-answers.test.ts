/** What forms are answered, by our server and by Anki's own. */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { Agent } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import Database from 'better-sqlite3';
import { RawClient, type RawResponse } from '../client/raw.ts';
import { card, note } from '../collection/objects.ts';
import { Player } from '../collection/player.ts';
import { uploadZip } from '../media/raw-zip.ts';
import { startOfficialServer, type OfficialServer } from '../oracle/official-server.ts';
import { changedBy, someCollection } from '../server/collection-bytes.ts';
import { runningServer, type RunningServer } from '../server/running-server.ts';
import { until } from '../server/until.ts';
import { contentType, pythonForm, PYTHON_BOUNDARY, REQWEST_BOUNDARY, rustForm } from './forms.ts';

interface Question {
  sentence: string;
  ask: (user: RawClient) => Promise<RawResponse>;
  status: number;
  text?: string | RegExp;
  /** Where Anki's server answers something else. */
  official?: { status: number; why: string };
}

function send(user: RawClient, path: string, form: Buffer, httpMethod = 'POST'): Promise<RawResponse> {
  const boundary = form.includes(PYTHON_BOUNDARY) ? PYTHON_BOUNDARY : REQWEST_BOUNDARY;
  return user.send(httpMethod, path, form, { syncHeader: null, packed: true, headers: { 'content-type': contentType(boundary) } });
}

const gzip = (value: unknown): Buffer => gzipSync(typeof value === 'string' || value instanceof Uint8Array ? value : JSON.stringify(value));
const rust = (user: RawClient, method: string, value: unknown): Promise<RawResponse> =>
  send(user, `sync/${method}`, rustForm(gzip(value), { c: '1', k: user.key, s: user.sessionKey }));
const media = (user: RawClient, method: string, data: Uint8Array): Promise<RawResponse> => send(user, `msync/${method}`, rustForm(data, { sk: user.key }));
const meta = (v: number): object => ({ v, cv: 'ankidesktop,2.1.26,lin' });

/** The user's collection as a client of old gets it. */
async function downloaded<T>(user: RawClient, look: (db: Database.Database) => T): Promise<T> {
  const { status, body } = await send(user, 'sync/download', pythonForm({ c: '1', k: user.key }));
  assert.equal(status, 200);
  const db = new Database(body);
  try {
    return look(db);
  } finally {
    db.close();
  }
}

/** A collection that asks for the given scheduler and timezone support. */
async function withConfig(user: RawClient, config: string): Promise<void> {
  const collection = await someCollection(user);
  const response = await rust(user, 'upload', await changedBy(collection, `UPDATE col SET conf = json_patch(conf, '${config}')`));
  assert.equal(response.text(), 'OK');
}

const GRAVES_AS: [string, (id: number) => number | string][] = [['numbers', (id) => id], ['text', String]];

const QUESTIONS: Record<string, Question[]> = {
  'signing in': [
    { sentence: 'a wrong password', ask: (user) => send(user, 'sync/hostKey', rustForm(gzip({ u: 'user0', p: 'wrong' }), { c: '1' })), status: 403 },
    { sentence: 'a password packed by Python', ask: (user) => send(user, 'sync/hostKey', pythonForm({ c: '1' }, gzip({ u: 'user0', p: 'wrong' }))), status: 403 },
    { sentence: 'an unknown key behind the data', ask: (user) => send(user, 'sync/meta', rustForm(gzip(meta(10)), { c: '1', k: 'x' })), status: 403 },
    { sentence: 'an unknown key before a large file', ask: (user) => send(user, 'sync/upload', pythonForm({ k: 'x', c: '0' }, Buffer.alloc(500_000))), status: 403 },
    { sentence: 'an unknown key behind a large file', ask: (user) => send(user, 'sync/upload', rustForm(Buffer.alloc(500_000), { k: 'x', c: '0' })), status: 403 },
    { sentence: 'an unknown key in the query', ask: (user) => user.get('msync/begin?k=x&v=test'), status: 403 },
    { sentence: 'a form without a key', ask: (user) => send(user, 'sync/meta', rustForm(gzip(meta(10)), { c: '1' })), status: 403 },
  ],
  'meta': [
    ...[9, 10, 11].map((v): Question => ({
      sentence: `version ${v} in the body`, ask: (user) => rust(user, 'meta', meta(v)), status: 200, text: /^\{"mod":.*"cont":true,.*\}$/,
    })),
    ...[7, 12].map((v): Question => ({ sentence: `version ${v} in the body`, ask: (user) => rust(user, 'meta', meta(v)), status: 501 })),
    {
      sentence: 'version 8 with the v2 scheduler is told to stop', status: 200, text: /"msg":"Your client does not support the v2 scheduler","cont":false/,
      ask: async (user) => (await withConfig(user, '{"schedVer":2,"creationOffset":null}'), rust(user, 'meta', meta(8))),
    },
    {
      sentence: 'version 8 with the first scheduler may go on', status: 200, text: /"cont":true/,
      ask: async (user) => (await withConfig(user, '{"schedVer":1,"creationOffset":null}'), rust(user, 'meta', meta(8))),
    },
    {
      sentence: 'version 9 with the v2 scheduler may go on', status: 200, text: /"cont":true/,
      ask: async (user) => (await withConfig(user, '{"schedVer":2,"creationOffset":null}'), rust(user, 'meta', meta(9))),
    },
    {
      sentence: 'version 9 with the new timezone is told to stop', status: 200, text: /"msg":"Your client does not support the new timezone handling\.","cont":false/,
      ask: async (user) => (await withConfig(user, '{"schedVer":2,"creationOffset":-60}'), rust(user, 'meta', meta(9))),
    },
    {
      sentence: 'version 10 with the new timezone may go on', status: 200, text: /"cont":true/,
      ask: async (user) => (await withConfig(user, '{"schedVer":2,"creationOffset":-60}'), rust(user, 'meta', meta(10))),
    },
  ],
  'a sync': [
    { sentence: 'start with what old clients add', ask: (user) => rust(user, 'start', { minUsn: 0, offset: null, lnewer: true, graves: null }), status: 200, text: '{"cards":[],"decks":[],"notes":[]}' },
    { sentence: 'start without a session key', ask: (user) => send(user, 'sync/start', rustForm(gzip({ minUsn: 0, lnewer: true }), { c: '1', k: user.key })), status: 400 },
    { sentence: 'a step without a start', ask: (user) => rust(user, 'chunk', {}), status: 409 },
    { sentence: 'abort', ask: (user) => rust(user, 'abort', {}), status: 200, text: 'null' },
    ...GRAVES_AS.map(([as, idAs]): Question => ({
      sentence: `start with graves as ${as}, which are applied`, status: 200, text: '0 notes, 0 cards',
      ask: async (user) => {
        await new Player(user).begin();
        const [noteId, cardId] = [note({})[0] as number, card({})[0] as number];
        const { usn } = (await rust(user, 'meta', meta(10))).json() as { usn: number };
        assert.equal((await rust(user, 'start', { minUsn: usn, lnewer: true, graves: { notes: [idAs(noteId)], cards: [idAs(cardId)], decks: [] } })).status, 200);
        await rust(user, 'applyChanges', { changes: { models: [], decks: [[], []], tags: [] } });
        await rust(user, 'chunk', {});
        await rust(user, 'applyChunk', { chunk: { done: true } });
        assert.equal((await rust(user, 'finish', {})).status, 200);
        const count = (db: Database.Database, table: string): unknown => db.prepare(`SELECT count() FROM ${table}`).pluck().get();
        const text = await downloaded(user, (db) => `${count(db, 'notes')} notes, ${count(db, 'cards')} cards`);
        return { status: 200, body: Buffer.from(text) } as RawResponse;
      },
    })),
  ],
  'full sync': [
    {
      sentence: 'an upload by Python', status: 200, text: 'OK',
      ask: async (user) => send(user, 'sync/upload', pythonForm({ k: user.key, v: 'ankidesktop', c: '1' }, gzipSync(await someCollection(user)))),
    },
    {
      sentence: 'an upload by Rust', status: 200, text: 'OK',
      ask: async (user) => send(user, 'sync/upload', rustForm(gzipSync(await someCollection(user)), { c: '1', k: user.key, s: 's' })),
    },
    { sentence: 'an upload of garbage', ask: (user) => rust(user, 'upload', 'garbage'), status: 200, text: /corrupt/ },
    { sentence: 'an upload of no gzip', ask: (user) => send(user, 'sync/upload', rustForm(Buffer.from('garbage'), { c: '1', k: user.key })), status: 400 },
    {
      sentence: 'an upload without a file', ask: (user) => send(user, 'sync/upload', pythonForm({ c: '1', k: user.key })), status: 200, text: /corrupt/,
    },
    {
      sentence: 'a download by an early AnkiDroid, whose form has no end', status: 200, text: /^SQLite format 3/,
      ask: (user) => send(user, 'sync/download', pythonForm({ c: '1', k: user.key }, undefined, '')),
      official: { status: 400, why: 'it takes the form for a damaged one' },
    },
    {
      sentence: 'a download is a file of schema 11 without a log beside it', status: 200, text: '11 delete',
      ask: async (user) => {
        await new Player(user).begin();
        const text = await downloaded(user, (db) => `${db.prepare('SELECT ver FROM col').pluck().get()} ${db.pragma('journal_mode', { simple: true })}`);
        return { status: 200, body: Buffer.from(text.replace('memory', 'delete')) } as RawResponse;
      },
    },
  ],
  'a media sync': [
    { sentence: 'begin by GET', ask: (user) => user.get(`msync/begin?k=${user.key}&v=anki%2C2.1.56`), status: 200, text: /^\{"data":\{"usn":0,"sk":"[^"]+"\},"err":""\}$/ },
    { sentence: 'begin by GET without a version', ask: (user) => user.get(`msync/begin?k=${user.key}`), status: 400 },
    { sentence: 'begin by AnkiDroid', ask: (user) => send(user, 'msync/begin', pythonForm({ k: user.key, v: 'ankidroid,2.9', c: '1' }, gzip({}))), status: 200, text: /"sk":/ },
    { sentence: 'mediaChanges', ask: (user) => media(user, 'mediaChanges', Buffer.from('{"lastUsn":0}')), status: 200, text: '{"data":[],"err":""}' },
    { sentence: 'uploadChanges', ask: (user) => media(user, 'uploadChanges', uploadZip([['a.png', 'bytes']])), status: 200, text: '{"data":[1,1],"err":""}' },
    {
      sentence: 'uploadChanges by AnkiDroid', status: 200, text: '{"data":[1,1],"err":""}',
      ask: (user) => send(user, 'msync/uploadChanges', pythonForm({ sk: user.key, c: '0' }, uploadZip([['a.png', 'bytes']]))),
    },
    {
      sentence: 'downloadFiles is a bare zip', status: 200, text: /^PK[^]*_meta/,
      ask: async (user) => {
        await media(user, 'uploadChanges', uploadZip([['a.png', 'bytes']]));
        return media(user, 'downloadFiles', Buffer.from('{"files":["a.png"]}'));
      },
    },
    { sentence: 'mediaSanity', ask: (user) => media(user, 'mediaSanity', Buffer.from('{"local":0}')), status: 200, text: '{"data":"OK","err":""}' },
    ...['msync/msync/begin', 'begin', 'msyncbegin', 'msync//begin'].map((path): Question => ({
      sentence: `begin at ${path}`, ask: (user) => send(user, path, pythonForm({ k: user.key, v: 'x', c: '1' }, gzip({}))), status: 200,
      official: { status: 404, why: 'people leave slashes and folders out of the media URL' },
    })),
  ],
  'damage': [
    { sentence: 'a form without a boundary', ask: (user) => user.post('meta', Buffer.from('x'), { syncHeader: null, packed: true, headers: { 'content-type': 'multipart/form-data' } }), status: 400 },
    { sentence: 'a form that is cut', ask: (user) => send(user, 'sync/meta', rustForm(gzip(meta(10)), { c: '1', k: user.key }).subarray(0, -30)), status: 400 },
    { sentence: 'a form of nothing', ask: (user) => send(user, 'sync/meta', Buffer.alloc(0)), status: 400 },
    { sentence: 'gzip that is cut', ask: (user) => rust(user, 'meta', meta(10)).then(() => send(user, 'sync/meta', rustForm(gzip(meta(10)).subarray(0, -4), { c: '1', k: user.key }))), status: 400 },
    { sentence: 'an urlencoded form', ask: (user) => user.post('meta', Buffer.from(`k=${user.key}`), { syncHeader: null, packed: true, headers: { 'content-type': 'application/x-www-form-urlencoded' } }), status: 400 },
  ],
};

const ALL = Object.values(QUESTIONS).flat();
let official: OfficialServer;
let ours: RunningServer;
before(async () => {
  ours = await runningServer();
  official = await startOfficialServer({ users: Object.fromEntries(ALL.map((_question, i) => [`user${i}`, 'password'])) });
});
after(async () => {
  await ours?.stop();
  await official?.stop();
});

for (const [group, questions] of Object.entries(QUESTIONS)) {
  describe(`forms: ${group}`, () => {
    for (const question of questions) {
      const { sentence, ask, status, text } = question;
      const check = (response: RawResponse): void => {
        const body = response.body.toString('latin1');
        assert.equal(response.status, status, body.slice(0, 200));
        assert.equal(response.headers?.['anki-original-size'], undefined);
        if (typeof text === 'string') assert.equal(body, text);
        else if (text !== undefined) assert.match(body, text);
      };
      it(`${sentence}: ${status}`, async () => {
        check(await ask(await ours.newUser()));
        await until(() => ours.stagedFiles().length === 0);
      });
      it(`${sentence}: ${question.official?.status ?? status} from Anki's server${question.official ? `, since ${question.official.why}` : ''}`, async () => {
        const key = hash('sha1', `user${ALL.indexOf(question)}:password`);
        const response = await ask(new RawClient(official.url, { key, sessionKey: 'session' }));
        if (question.official === undefined) check(response);
        else assert.equal(response.status, question.official.status);
      });
    }
  });
}

for (const [sentence, key] of [
  ['with an unknown key', 'x'],
  ['with a key before its data and another behind', undefined],
] as const) {
  it(`a form ${sentence} leaves its connection free for the next request`, async () => {
    const user = await ours.newUser();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    try {
      const end = `--${PYTHON_BOUNDARY}--\r\n`;
      const again = `--${PYTHON_BOUNDARY}\r\nContent-Disposition: form-data; name="k"\r\n\r\nx\r\n`;
      const form = pythonForm({ k: key ?? user.key, c: '0', s: user.sessionKey }, Buffer.alloc(200_000), key === undefined ? again + end : end);
      const headers = { 'content-type': contentType(PYTHON_BOUNDARY) };
      const refused = await user.send('POST', 'sync/applyChunk', form, { syncHeader: null, packed: true, headers, agent });
      assert.ok([400, 403].includes(refused.status), refused.text());
      // the rest of the form must not stay in the connection until the server gives up on it
      assert.equal((await user.post('meta', meta(11), { agent })).status, 200);
    } finally {
      agent.destroy();
    }
  });
}

it('a key in a query reaches no log and no answer', async () => {
  const user = await ours.newUser();
  for (const path of [`msync/begin?k=${user.key}&v=1`, `begin?k=${user.key}`, `msync/other?k=${user.key}`]) {
    const { body } = await user.get(path);
    if (!path.endsWith('v=1')) assert.ok(!body.includes(user.key));
  }
  assert.ok(ours.log.length > 0);
  assert.ok(!JSON.stringify(ours.log).includes(user.key));
});
