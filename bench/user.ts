/** A user with one device, who does what people do. Every answer is checked: a fast wrong answer is worth nothing. */
import { Connection, headOf, jsonOf, requestOf, unpack, type Answer } from './wire.ts';

/** What `make-collection.py` writes beside a collection. */
export interface CollectionFacts {
  bytes: number;
  /** As the sanity check has them: due counts, then cards, notes, revlog, graves, notetypes, decks, deck configs. */
  counts: [number[], number, number, number, number, number, number, number];
  crt: number;
  basic: number;
  decks: Record<string, unknown>[];
  conf: object;
  cards: (number | string)[][];
  notes: (number | string)[][];
}

interface Sending {
  chunks: object[];
  decks?: object[];
  /** Cards, notes and reviews that are new. */
  added?: [cards: number, notes: number, reviews: number];
  /** What the device has seen so far; default everything. */
  minUsn?: number;
  /** The device's settings are newer than the server's. Default true. */
  newer?: boolean;
}

const REVIEWS_A_DAY = 20;

export class User {
  readonly name: string;
  readonly port: number;
  key = '';
  usn = 0;
  #facts!: CollectionFacts;
  #counts!: CollectionFacts['counts'];
  #sessions = 0;
  #nextCard = 0;
  #nextReview = 1_900_000_000_000;
  #nextNote = 1_950_000_000_000;

  constructor(name: string, port: number) {
    this.name = name;
    this.port = port;
  }

  get password(): string {
    return `password of ${this.name}`;
  }

  async signIn(): Promise<void> {
    this.key = jsonOf(await this.once('/sync/hostKey', { u: this.name, p: this.password })).key;
  }

  /** One request on a connection of its own. Throws on any status but 200. */
  async once(path: string, body: unknown, sessionKey = 'bench'): Promise<Answer> {
    const connection = await Connection.open(this.port);
    try {
      return this.#good(path, await connection.call(requestOf(path, this.key, sessionKey, body)));
    } finally {
      connection.close();
    }
  }

  /** Makes the server's collection the one of the file (zstd), and knows it from then on. */
  async upload(packedFile: string, facts: CollectionFacts): Promise<void> {
    const connection = await Connection.open(this.port);
    try {
      const answer = this.#good('upload', await connection.callWithFile(headOf('/sync/upload', this.key, this.#sessionKey()), packedFile));
      if (unpack(answer.body).toString() !== 'OK') throw new Error(`upload: ${unpack(answer.body).toString()}`);
    } finally {
      connection.close();
    }
    this.knows(facts);
  }

  /** The server holds this collection, freshly uploaded. */
  knows(facts: CollectionFacts): void {
    this.#facts = facts;
    this.#counts = structuredClone(facts.counts);
    this.usn = 1;
  }

  metaRequest(sessionKey = 'bench'): Buffer {
    return requestOf('/sync/meta', this.key, sessionKey, { v: 11, cv: 'anki,26.09.3 (bench),lin:bench' });
  }

  /** Connects and asks whether there is anything new: what most syncs are. */
  async nothingNew(): Promise<void> {
    const connection = await Connection.open(this.port);
    try {
      const meta = jsonOf(this.#good('meta', await connection.call(this.metaRequest())));
      if (meta.usn !== this.usn) throw new Error(`meta: usn ${meta.usn}, expected ${this.usn}`);
    } finally {
      connection.close();
    }
  }

  /** Twenty reviewed cards, and their deck. */
  daily(): () => Promise<number> {
    const now = Math.floor(Date.now() / 1000);
    const cards: unknown[][] = [];
    const revlog: unknown[][] = [];
    for (let i = 0; i < REVIEWS_A_DAY; i++) {
      const before = this.#facts.cards[(this.#nextCard += 7) % this.#facts.cards.length]!;
      const card = before.slice();
      card[4] = now;
      card[5] = this.usn;
      card[9] = (before[9] as number) + 3;
      card[11] = (before[11] as number) + 1;
      cards.push(card);
      revlog.push([(this.#nextReview += 13), card[0], this.usn, 3, card[9], before[9], 2500, 7000, 1]);
    }
    const deck = { ...this.#facts.decks[1], usn: this.usn, mod: now, revToday: [5, REVIEWS_A_DAY] };
    return this.#session({ chunks: [{ done: true, revlog, cards }], decks: [deck], added: [0, 0, REVIEWS_A_DAY] });
  }

  /** New notes with a card each, in chunks of 250 objects, as a client sends them. */
  manyNew(count: number): () => Promise<number> {
    const now = Math.floor(Date.now() / 1000);
    const chunks: object[] = [];
    for (let from = 0; from < count; from += 125) {
      const notes: unknown[][] = [];
      const cards: unknown[][] = [];
      for (let n = from; n < Math.min(count, from + 125); n++) {
        const id = (this.#nextNote += 3);
        const text = this.#facts.notes[n % this.#facts.notes.length]![4] as string;
        notes.push([id, `b${id}`, this.#facts.basic, now, this.usn, ' new ', text, '', '', 0, '']);
        cards.push([id + 1, id, 1, 0, now, this.usn, 0, 0, n, 0, 0, 0, 0, 0, 0, 0, 0, '{}']);
      }
      chunks.push({ done: false, cards, notes });
    }
    return this.#session({ chunks: [...chunks, { done: true }], added: [count, count, 0] });
  }

  manyChanged(count: number): () => Promise<number> {
    const now = Math.floor(Date.now() / 1000);
    const chunks: object[] = [];
    for (let from = 0; from < count; from += 250) {
      const notes = this.#facts.notes.slice(from, Math.min(count, from + 250))
        .map(([id, guid, notetype, tags, fields]) => [id, guid, notetype, now, this.usn, tags, `${fields} edited`, '', '', 0, '']);
      chunks.push({ done: false, notes });
    }
    return this.#session({ chunks: [...chunks, { done: true }] });
  }

  /** Fetches what changed since `minUsn`, as a second device does. */
  fetchSince(minUsn: number, notes: number): () => Promise<number> {
    return this.#session({ chunks: [{ done: true }], minUsn, newer: false }, notes);
  }

  /** Prepares every request of a sync beforehand; what it returns plays it, and answers its milliseconds, connecting included. */
  #session(sending: Sending, expectedNotes?: number): () => Promise<number> {
    const sessionKey = this.#sessionKey();
    const newer = sending.newer ?? true;
    const added = sending.added ?? [0, 0, 0];
    const counts = this.#counts.map((count, i) => (i === 0 ? count : (count as number) + (added[i - 1] ?? 0)));
    const request = (method: string, body: unknown): Buffer => requestOf(`/sync/${method}`, this.key, sessionKey, body);
    const changes = { models: [], decks: [sending.decks ?? [], []], tags: [], ...(newer ? { conf: this.#facts.conf, crt: this.#facts.crt } : {}) };
    const meta = this.metaRequest(sessionKey);
    const start = request('start', { minUsn: sending.minUsn ?? this.usn, lnewer: newer, graves: null });
    const applyChanges = request('applyChanges', { changes });
    const chunk = request('chunk', {});
    const applyChunks = sending.chunks.map((body) => request('applyChunk', { chunk: body }));
    const sanity = request('sanityCheck2', { client: counts });
    const finish = request('finish', {});

    return async () => {
      const begun = performance.now();
      const connection = await Connection.open(this.port);
      const call = async (method: string, bytes: Buffer): Promise<Answer> => this.#good(method, await connection.call(bytes));
      try {
        const { usn, cont } = jsonOf(await call('meta', meta));
        if (usn !== this.usn || cont !== true) throw new Error(`${this.name}: meta says usn ${usn}, expected ${this.usn}`);
        await call('start', start);
        await call('applyChanges', applyChanges);
        let notes = 0;
        for (let done = false; !done; ) {
          const text = unpack((await call('chunk', chunk)).body).toString();
          const got = JSON.parse(text);
          notes += got.notes?.length ?? 0;
          done = got.done;
        }
        if (expectedNotes !== undefined && notes !== expectedNotes) throw new Error(`${notes} notes came, expected ${expectedNotes}`);
        for (const bytes of applyChunks) await call('applyChunk', bytes);
        const verdict = jsonOf(await call('sanityCheck2', sanity));
        if (verdict.status !== 'ok') throw new Error(`sanity check: ${JSON.stringify(verdict)}`);
        await call('finish', finish);
      } finally {
        connection.close();
      }
      this.usn += 1;
      this.#counts = counts as CollectionFacts['counts'];
      return performance.now() - begun;
    };
  }

  #sessionKey(): string {
    return `bench${++this.#sessions}`;
  }

  #good(what: string, answer: Answer): Answer {
    if (answer.status !== 200) throw new Error(`${this.name}: ${what} answered ${answer.status}: ${answer.body.toString('latin1', 0, 300)}`);
    return answer;
  }
}
