/** Small real situations, request by request: in each, the server is ended at every operation, and the disk fails at every one. */
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import Database from 'better-sqlite3';
import { openCollectionFile } from '../../lib/storage/sqlite/collection-file.ts';
import type { RawClient, RawResponse } from '../client/raw.ts';
import { uploadZip } from '../media/raw-zip.ts';
import { FIRST_NOTE, makeCollection, makeMedia, makeSchema18, MEDIA, NOTES, PASSWORD, USN } from './data-folder.ts';
import type { WatchedServer } from './watched-process.ts';

/** Where a story is played. */
export interface Scene {
  server: WatchedServer;
  /** Signed in, with a session key. */
  client: RawClient;
  /** Login name, and name of the folder. */
  name: string;
  /** The user's folder. */
  home: string;
}

/** Rejects unless it was done and answered. */
export interface Step {
  name: string;
  run(): Promise<void>;
}

export interface Story {
  name: string;
  /** Makes the user's folder as it is before; without it there is none. `spare` is a folder for what else is needed. */
  before?(home: string, spare: string): void | Promise<void>;
  steps(scene: Scene, spare: string): Step[];
  /** What the same client does next, whatever it knows of how the story ended: must go through, and lead to one and the same end. */
  again(scene: Scene, spare: string): Promise<void>;
  /** The server ends with it, or much later. */
  ends?: boolean;
  /** Times and ids come from the clock. */
  timeless?: boolean;
  /** Files in the media folder that no index knows are there from the start. */
  unindexed?: boolean;
  /** What it replaces must be there afterwards, as a snapshot. */
  replaces?: boolean;
}

export async function ok(answering: Promise<RawResponse>): Promise<RawResponse> {
  const response = await answering;
  if (response.status !== 200) throw new NotAnswered(response.status, response.text());
  return response;
}

/** Of a media step: what went wrong may be told in words. */
async function okMedia(answering: Promise<RawResponse>): Promise<unknown> {
  const { data, err } = (await ok(answering)).json() as { data: unknown; err: string };
  if (err !== '') throw new NotAnswered(200, err);
  return data;
}

async function metaAnswer(client: RawClient): Promise<{ scm: number }> {
  const answer = (await ok(client.post('meta', { v: 11, cv: 'test' }))).json() as { scm: number; cont: boolean; msg: string };
  if (!answer.cont) throw new NotAnswered(200, answer.msg);
  return answer;
}

/** An answer, but not the wished one: a status, or words for the person. */
export class NotAnswered extends Error {
  readonly status: number;
  readonly text: string;

  constructor(status: number, text: string) {
    super(`answered ${status} ${text}`);
    this.status = status;
    this.text = text;
  }
}

/** What a client brings to a normal sync, and how much there is afterwards. */
interface Plan {
  minUsn: number;
  graves?: object;
  changes?: (place: { deck: Record<string, unknown>; conf: Record<string, unknown> }) => object;
  notes?: (notetype: number) => unknown[][];
  cards?: unknown[][];
  revlog?: unknown[][];
  counts: { cards: number; notes: number; revlog: number; decks: number };
}

const LATER = 1_700_000_000;

const card = (id: number, queue: number): unknown[] => [id, id, 1, 0, LATER, USN, queue, queue, 7, 1, 2500, 1, 0, 0, 0, 0, 0, ''];

/** Adds and edits notes, deletes one, reviews, adds a deck and a tag, changes an option. */
const CHANGES: Plan = {
  minUsn: USN,
  graves: { cards: [FIRST_NOTE + 3], notes: [FIRST_NOTE + 3], decks: [] },
  changes: ({ deck, conf }) => ({
    models: [],
    decks: [[{ ...deck, id: LATER * 1000, name: 'new deck', mod: LATER, usn: USN }], []],
    tags: ['crash'],
    conf: { ...conf, sortBackwards: true },
    crt: 1500000000,
  }),
  notes: (notetype) => [5, 101, 102, 103, 104, 105].map((i) => [FIRST_NOTE + i, `guid${i}`, notetype, LATER, USN, ' crash ', `changed ${i}\x1f${'back '.repeat(100)}`, '', '', 0, '']),
  cards: [5, 101, 102, 103, 104, 105].map((i) => card(FIRST_NOTE + i, i === 5 ? 2 : 0)),
  revlog: [1, 2, 3].map((i) => [LATER * 1000 + i, FIRST_NOTE + 5, USN, 3, 10, 1, 2500, 3000, 1]),
  counts: { notes: NOTES + 4, cards: NOTES + 4, revlog: NOTES + 3, decks: 2 },
};

const NOTHING: Plan = { minUsn: USN, counts: { notes: NOTES, cards: NOTES, revlog: NOTES, decks: 1 } };

/** A normal sync, step by step. `template` is a copy of what the client has. */
function normalSync({ client }: Scene, plan: Plan, template: string): Step[] {
  const db = new Database(template, { readonly: true });
  const col = db.prepare('SELECT conf, models, decks, dconf FROM col').get() as Record<string, string>;
  db.close();
  const json = (column: string): Record<string, Record<string, unknown>> => JSON.parse(col[column]!) as Record<string, Record<string, unknown>>;
  const notetypes = Object.keys(json('models')).map(Number).sort((a, b) => a - b);
  const { counts } = plan;
  const step = (name: string, run: () => Promise<unknown>): Step => ({ name, run: async () => void (await run()) });
  return [
    meta(client),
    step('start', () => ok(client.post('start', { minUsn: plan.minUsn, lnewer: plan.changes !== undefined, graves: null }))),
    step('applyGraves', () => ok(client.post('applyGraves', { chunk: plan.graves ?? { cards: [], notes: [], decks: [] } }))),
    step('applyChanges', () => {
      const none = { models: [], decks: [[], []], tags: [] };
      return ok(client.post('applyChanges', { changes: plan.changes?.({ deck: json('decks')['1']!, conf: json('conf') }) ?? none }));
    }),
    step('chunk', async () => {
      for (let done = false; !done; ) done = ((await ok(client.post('chunk'))).json() as { done: boolean }).done;
    }),
    step('applyChunk', () => {
      const { cards = [], revlog = [] } = plan;
      return ok(client.post('applyChunk', { chunk: { done: true, notes: plan.notes?.(notetypes[0]!) ?? [], cards, revlog } }));
    }),
    step('sanityCheck2', async () => {
      const sanity = [[0, 0, 0], counts.cards, counts.notes, counts.revlog, 0, notetypes.length, counts.decks, Object.keys(json('dconf')).length];
      const answer = (await ok(client.post('sanityCheck2', { client: sanity }))).json() as { status: string };
      assert.equal(answer.status, 'ok', JSON.stringify(answer));
    }),
    step('finish', () => ok(client.post('finish'))),
  ];
}

async function all(steps: Step[]): Promise<void> {
  for (const { run } of steps) await run();
}

function meta(client: RawClient): Step {
  return { name: 'meta', run: async () => void (await metaAnswer(client)) };
}

/** Of a client that has a collection: a server with another schema time would ask for a one-way sync. */
async function expectNoOneWaySync({ client }: Scene, scm: number): Promise<void> {
  assert.equal((await metaAnswer(client)).scm, scm, 'the next sync would be one-way');
}

const SCM = 1500000000000;

function upload({ client }: Scene, path: string): Step {
  return {
    name: 'upload',
    async run() {
      const text = (await ok(client.post('upload', readFileSync(path)))).text();
      if (text !== 'OK') throw new NotAnswered(200, text);
    },
  };
}

function download({ client }: Scene): Step {
  return {
    name: 'download',
    async run() {
      const { body } = await ok(client.post('download'));
      assert.equal(body.subarray(0, 15).toString(), 'SQLite format 3');
    },
  };
}

/** SIGTERM: everything is closed, media are brought to their places. */
function stop({ server }: Scene): Step {
  return {
    name: 'the server stops',
    async run() {
      const { code, signal, output } = await server.stop();
      if (code !== 0) throw new Error(`it ended with ${code ?? signal}:\n${output}`);
    },
  };
}

const ZIP = uploadZip([
  ['kept.png', 'kept'],
  ['old.png', 'new'],
  ['gone.png', null],
  ['added.png', 'added'],
  ['añadido.png', 'x'.repeat(5000)],
]);

const MEDIA_AFTER: Record<string, string> = { 'kept.png': 'kept', 'old.png': 'new', 'ü.png': 'umlaut', 'added.png': 'added', 'añadido.png': 'x'.repeat(5000) };

const beginMedia = ({ client }: Scene): Step => ({ name: 'begin', run: async () => void (await okMedia(client.msync('begin', { v: 'test' }))) });

const uploadMedia = ({ client }: Scene): Step => ({
  name: 'uploadChanges',
  async run() {
    const [processed] = (await okMedia(client.msync('uploadChanges', ZIP))) as [number, number];
    assert.equal(processed, 5);
  },
});

/** Lists the index from the start and fetches everything; answers what came. */
async function fetchMedia({ client }: Scene): Promise<Buffer> {
  const changes = (await okMedia(client.msync('mediaChanges', { lastUsn: 0 }))) as [string, number, string][];
  const files = changes.filter(([, , sha1]) => sha1 !== '').map(([name]) => name);
  const zip = (await ok(client.msync('downloadFiles', { files }))).body;
  assert.equal(await okMedia(client.msync('mediaSanity', { local: files.length })), 'OK');
  return zip;
}

async function mediaAgain(scene: Scene): Promise<void> {
  await beginMedia(scene).run();
  await uploadMedia(scene).run();
  const zip = await fetchMedia(scene);
  for (const [, content] of Object.entries(MEDIA_AFTER)) assert.ok(zip.includes(content), 'a file did not come back');
}

const collectionOf = (home: string): string => join(home, 'collection.anki2');

/** The collection that a story begins with, and a copy of it for the client. */
function standard(home: string, spare: string): void {
  mkdirSync(spare, { recursive: true });
  makeCollection(collectionOf(home));
  copyFileSync(collectionOf(home), join(spare, 'client.anki2'));
}

export const STORIES: Story[] = [
  {
    name: 'a normal sync with changes of all kinds',
    before: standard,
    steps: (scene, spare) => normalSync(scene, CHANGES, join(spare, 'client.anki2')),
    async again(scene, spare) {
      await expectNoOneWaySync(scene, SCM);
      await all(normalSync(scene, CHANGES, join(spare, 'client.anki2')));
    },
  },
  {
    name: 'a normal sync, after which the server stops',
    ends: true,
    before: standard,
    steps: (scene, spare) => [...normalSync(scene, CHANGES, join(spare, 'client.anki2')), stop(scene)],
    async again(scene, spare) {
      await expectNoOneWaySync(scene, SCM);
      await all(normalSync(scene, CHANGES, join(spare, 'client.anki2')));
    },
  },
  {
    name: 'a normal sync that only fetches',
    before: standard,
    steps: (scene, spare) => normalSync(scene, { ...NOTHING, minUsn: 0 }, join(spare, 'client.anki2')),
    async again(scene, spare) {
      await expectNoOneWaySync(scene, SCM);
      await all(normalSync(scene, { ...NOTHING, minUsn: 0 }, join(spare, 'client.anki2')));
    },
  },
  {
    name: 'the first sync after a crash',
    before(home, spare) {
      standard(home, spare);
      const near = join(spare, 'open.anki2');
      copyFileSync(collectionOf(home), near);
      const db = openCollectionFile(near, 1024);
      db.exec("BEGIN; UPDATE col SET mod = mod + 1; UPDATE notes SET flds = flds || ' written before the crash'; COMMIT;");
      for (const suffix of ['', '-wal']) copyFileSync(near + suffix, collectionOf(home) + suffix);
      db.close();
      rmSync(near);
    },
    steps: (scene, spare) => normalSync(scene, CHANGES, join(spare, 'client.anki2')),
    async again(scene, spare) {
      await expectNoOneWaySync(scene, SCM);
      await all(normalSync(scene, CHANGES, join(spare, 'client.anki2')));
    },
  },
  {
    name: 'a first full upload',
    before(_home, spare) {
      mkdirSync(spare, { recursive: true });
      makeCollection(join(spare, 'client.anki2'));
    },
    timeless: true,
    steps: (scene, spare) => [meta(scene.client), upload(scene, join(spare, 'client.anki2'))],
    async again(scene, spare) {
      await meta(scene.client).run();
      await upload(scene, join(spare, 'client.anki2')).run();
      await all(normalSync(scene, CHANGES, join(spare, 'client.anki2')));
    },
  },
  {
    name: 'a full upload of schema 18 over another collection',
    replaces: true,
    async before(home, spare) {
      standard(home, spare);
      await makeSchema18(join(spare, 'schema18.anki2'));
    },
    steps: (scene, spare) => [meta(scene.client), upload(scene, join(spare, 'schema18.anki2'))],
    async again(scene, spare) {
      await meta(scene.client).run();
      await upload(scene, join(spare, 'schema18.anki2')).run();
      await download(scene).run();
    },
  },
  {
    name: 'a full download',
    before: standard,
    steps: (scene) => [meta(scene.client), download(scene)],
    async again(scene, spare) {
      await expectNoOneWaySync(scene, SCM);
      await download(scene).run();
      await all(normalSync(scene, CHANGES, join(spare, 'client.anki2')));
    },
  },
  {
    name: 'the first look at a collection that the official server left',
    async before(home, spare) {
      mkdirSync(home, { recursive: true });
      mkdirSync(spare, { recursive: true });
      await makeSchema18(collectionOf(home));
      copyFileSync(collectionOf(home), join(spare, 'client.anki2'));
    },
    steps: (scene) => [meta(scene.client), download(scene)],
    async again(scene) {
      await meta(scene.client).run();
      await download(scene).run();
    },
  },
  {
    name: 'a first login, and the first look',
    timeless: true,
    steps: ({ client, name }) => [
      {
        name: 'hostKey',
        async run() {
          client.key = ((await ok(client.post('hostKey', { u: name, p: PASSWORD }, { key: '' }))).json() as { key: string }).key;
        },
      },
      meta(client),
      beginMedia({ client } as Scene),
    ],
    async again({ client, name }) {
      await client.hostKey(name, PASSWORD);
      await meta(client).run();
      await beginMedia({ client } as Scene).run();
    },
  },
  {
    name: 'a media upload, after which the server stops',
    ends: true,
    before: (home) => makeMedia(home),
    steps: (scene) => [beginMedia(scene), uploadMedia(scene), stop(scene)],
    again: mediaAgain,
  },
  {
    name: 'media that are brought to their places while their user is idle',
    ends: true,
    before: (home) => makeMedia(home),
    steps: (scene) => [beginMedia(scene), uploadMedia(scene), settled(scene)],
    again: mediaAgain,
  },
  {
    name: 'an index of media that was lost, and is begun anew',
    before(home) {
      makeMedia(home);
      rmSync(join(home, 'media.db'));
    },
    unindexed: true,
    steps: (scene) => [
      {
        name: 'begin',
        async run() {
          // devices have seen changes of the lost index: what comes now must be later
          const { usn } = (await okMedia(scene.client.msync('begin', { v: 'test' }))) as { usn: number };
          assert.ok(usn > 1000, `the new index begins with ${usn}`);
        },
      },
    ],
    async again(scene) {
      await this.steps(scene, '')[0]!.run();
      // devices find out that nothing is there, and send all they have
      await okMedia(scene.client.msync('uploadChanges', uploadZip(Object.entries(MEDIA))));
      const zip = await fetchMedia(scene);
      for (const content of Object.values(MEDIA)) assert.ok(zip.includes(content), 'a file did not come back');
    },
  },
  {
    name: 'a media download',
    before: (home) => makeMedia(home),
    steps: (scene) => [
      beginMedia(scene),
      {
        name: 'downloadFiles',
        async run() {
          const zip = await fetchMedia(scene);
          for (const content of Object.values(MEDIA)) assert.ok(zip.includes(content));
        },
      },
    ],
    again: mediaAgain,
  },
];

/** Some seconds after the last upload. */
function settled({ home, server }: Scene): Step {
  return {
    name: 'idle',
    async run() {
      const staged = join(home, '.anki-sync-media', 'staged');
      for (let look = 0; look < 400; look++) {
        if (server.child.exitCode !== null || server.child.signalCode !== null) throw new Error('the server ended');
        if (existsSync(staged) && readdirSync(staged).length === 0) return;
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
      throw new Error(`the media in ${dirname(staged)} were not brought to their places`);
    },
  };
}
