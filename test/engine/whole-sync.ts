/** A normal sync from start to finish, of a client that has nothing yet but some new notes. */
import assert from 'node:assert/strict';
import type { RawClient, RawResponse } from '../client/raw.ts';

let lastId = 1_700_000_000_000;

/** Sends `count` new notes with a card each, takes what the server has, and ends with `finish`. Answers how many notes both have then. */
export async function wholeSync(client: RawClient, count = 1): Promise<number> {
  const all = await untilSanityCheck(client, count);
  await ok(client.post('finish'));
  return all;
}

/** The same without `finish`: all is agreed, and nothing kept. */
export async function untilSanityCheck(client: RawClient, count = 1): Promise<number> {
  const { notes, sanity } = await untilChunks(client, count);
  const answer = (await ok(client.post('sanityCheck2', { client: sanity }))).json() as { status: string };
  assert.equal(answer.status, 'ok', JSON.stringify(answer));
  return notes;
}

async function untilChunks(client: RawClient, count: number): Promise<{ notes: number; sanity: unknown }> {
  const { usn } = (await metaOf(client)) as { usn: number };
  await ok(client.post('start', { minUsn: 0, lnewer: false, graves: null }));
  await ok(client.post('applyGraves', { chunk: { cards: [], notes: [], decks: [] } }));
  const changes = { changes: { models: [], decks: [[], []], tags: [] } };
  const theirs = (await ok(client.post('applyChanges', changes))).json() as { models: { id: number }[]; decks: [unknown[], unknown[]] };
  let [notes, cards] = [count, count];
  for (let done = false; !done; ) {
    const chunk = (await ok(client.post('chunk'))).json() as { done: boolean; notes?: unknown[]; cards?: unknown[] };
    notes += chunk.notes?.length ?? 0;
    cards += chunk.cards?.length ?? 0;
    done = chunk.done;
  }
  await ok(client.post('applyChunk', { chunk: { done: true, ...newNotes(count, theirs.models[0]!.id, usn) } }));
  return { notes, sanity: [[0, 0, 0], cards, notes, 0, 0, theirs.models.length, theirs.decks[0].length, theirs.decks[1].length] };
}

function newNotes(count: number, notetype: number, usn: number): { notes: unknown[]; cards: unknown[] } {
  const ids = Array.from({ length: count }, () => ++lastId);
  return {
    notes: ids.map((id) => [id, `guid ${id}`, notetype, 1_700_000_000, usn, '', `front ${id}\x1fback`, '', '', 0, '']),
    cards: ids.map((id) => [id, id, 1, 0, 1_700_000_000, usn, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, '']),
  };
}

/** How many cards and notes the server has, found without changing anything. */
export async function notesOn(client: RawClient): Promise<number> {
  const { notes } = await untilChunks(client, 0);
  await ok(client.post('abort'));
  return notes;
}

/** What `meta` says, but for the time. */
export async function metaOf(client: RawClient): Promise<object> {
  const { ts: _time, ...meta } = (await ok(client.post('meta', { v: 11, cv: 'test' }))).json() as { ts: number };
  return meta;
}

export async function ok(answering: Promise<RawResponse>): Promise<RawResponse> {
  const response = await answering;
  assert.equal(response.status, 200, response.text());
  return response;
}
