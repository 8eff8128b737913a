import assert from 'node:assert/strict';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { parseLossless, rawNumber } from '../../lib/schema/json.ts';
import { newCollection } from '../../lib/schema/new-collection.ts';
import { parseDeck, parseDeckConfig, parseNotetype } from '../../lib/schema/schema11.ts';
import { RawClient } from '../client/raw.ts';
import { startOfficialServer } from '../oracle/official-server.ts';

type Col = Record<'crt' | 'mod' | 'scm' | 'ver' | 'usn' | 'ls', number> & Record<'conf' | 'models' | 'decks' | 'dconf' | 'tags', string>;
type Notetype = Record<string, unknown> & { id: number; flds: Record<string, unknown>[]; tmpls: Record<string, unknown>[] };

/** The collection of a fresh account; clients of sync version 10 get it in schema 11. */
async function officialCollection(): Promise<Col> {
  const server = await startOfficialServer({ users: { fresh: 'password' } });
  try {
    const client = new RawClient(server.url, { sessionKey: 'session' });
    await client.hostKey('fresh', 'password');
    const file = await client.post('download', {}, { version: 10 });
    const db = new Database(file.body);
    const col = db.prepare('select * from col').get() as Col;
    db.close();
    return col;
  } finally {
    await server.stop();
  }
}

/** Notetypes in their order, without the ids that come from the clock and from chance. */
function notetypesOf(models: string): Notetype[] {
  const byId = JSON.parse(models) as Record<string, Notetype>;
  const list = Object.entries(byId).map(([id, notetype]) => {
    assert.equal(String(notetype.id), id);
    return notetype;
  });
  list.sort((a, b) => a.id - b.id);
  for (const notetype of list) {
    notetype.id = 0;
    for (const part of [...notetype.flds, ...notetype.tmpls]) part['id'] = 0;
  }
  return list;
}

test('a new collection is that of a fresh account on the official server', async () => {
  const official = await officialCollection();
  const ours = newCollection(official.scm);

  assert.equal(ours.creationSecs, official.crt);
  assert.deepEqual(notetypesOf(ours.models), notetypesOf(official.models));
  assert.deepEqual(JSON.parse(ours.decks), JSON.parse(official.decks));
  assert.deepEqual(JSON.parse(ours.dconf), JSON.parse(official.dconf));
  assert.equal(ours.tags, official.tags);

  const config = JSON.parse(ours.conf) as Record<string, unknown>;
  const officialConfig = JSON.parse(official.conf) as Record<string, unknown>;
  assert.deepEqual({ ...config, curModel: 0 }, { ...officialConfig, curModel: 0 });
  assert.equal((JSON.parse(ours.models) as Record<string, Notetype>)[String(config['curModel'])]?.['name'], 'Basic');
  assert.deepEqual([official.mod > 0, official.usn, official.ver, official.ls], [true, 1, 11, 0], 'the download itself raised mod and usn');
});

test('fields and templates have different random ids of 64 bits', () => {
  const ids = ['a', 'b'].flatMap(() =>
    Object.values(parseLossless(newCollection(1).models) as unknown as Record<string, Notetype>).flatMap((notetype) =>
      [...notetype.flds, ...notetype.tmpls].map((part) => rawNumber(part['id']) ?? String(part['id'])),
    ),
  );
  assert.equal(new Set(ids).size, ids.length);
  assert.ok(ids.some((id) => id.startsWith('-')) && ids.some((id) => id.length > 17));
});

test('what is new is also what the protocol takes', () => {
  const fresh = newCollection(Date.now());
  for (const notetype of Object.values(parseLossless(fresh.models) as object)) parseNotetype(notetype);
  for (const deck of Object.values(parseLossless(fresh.decks) as object)) assert.equal(parseDeck(deck).name, 'Default');
  for (const config of Object.values(parseLossless(fresh.dconf) as object)) assert.equal(parseDeckConfig(config).name, 'Default');
});

test('a collection begins at the last 4 o’clock', () => {
  const { creationSecs } = newCollection(1_700_000_000_123);
  const created = new Date(creationSecs * 1000);
  assert.deepEqual([created.getHours(), created.getMinutes(), created.getSeconds()], [4, 0, 0]);
  assert.ok(creationSecs <= 1_700_000_000 && creationSecs > 1_700_000_000 - 86_400);
});
