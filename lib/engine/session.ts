import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { SyncError } from '../errors.ts';
import { applyChanges } from '../collection/changes.ts';
import { applyChunk, chunk } from '../collection/chunks.ts';
import { finish } from '../collection/finish.ts';
import { applyGraves } from '../collection/graves.ts';
import { metaAnswer, overQuota } from '../collection/meta.ts';
import type { RunningSync } from '../collection/running-sync.ts';
import { sanityCheck } from '../collection/sanity-check.ts';
import { start } from '../collection/start.ts';
import { begin } from '../media/begin.ts';
import { mediaChanges, readAhead } from '../media/changes.ts';
import { downloadFiles } from '../media/download.ts';
import { eraseMedia } from '../media/erase.ts';
import { mediaSanity } from '../media/sanity-check.ts';
import { uploadChanges } from '../media/upload.ts';
import { settleSome } from '../media/user-media.ts';
import type { Json } from '../schema/json.ts';
import {
  parseBeginRequest,
  parseChunkRequest,
  parseDownloadFilesRequest,
  parseEmptyRequest,
  parseGravesRequest,
  parseMediaChangesRequest,
  parseMediaSanityRequest,
  parseMetaRequest,
  parseSanityRequest,
  parseStartRequest,
  parseUnchunkedChangesRequest,
} from '../schema/schema11.ts';
import { SchemaError } from '../schema/schema-error.ts';
import { removeStaged } from '../storage/files/staging.ts';
import type { CollectionStore, MediaFiles, MediaStore, UserPlace } from '../storage/storage.ts';
import { FAST_LEVEL } from '../zstd.ts';
import type { Answer, Call, JsonStep, Outcome, Overview } from './calls.ts';
import { exportedAnswer } from './from-memory.ts';
import { parseJsonBody } from './json-body.ts';
import { asSyncError } from './step-error.ts';

export interface Stores {
  collections: CollectionStore;
  media: MediaStore;
  mediaFiles: MediaFiles;
}

type JsonCall = Extract<Call, { step: JsonStep }>;

/**
 * The only memory between requests: at most one running sync per user. Lends the open store and the sync's state to a
 * step, and decides what happens to them afterwards. Runs in a worker thread, or on the main side for stores given as objects.
 */
export class Sessions {
  #stores: Stores;
  #running = new Map<string, RunningSync>();
  /** When the last step of a running sync came, by user id; of a clock that nobody sets. */
  #steppedMillis = new Map<string, number>();
  /** Users whose media may be unsettled, by id. */
  #unsettled = new Map<string, UserPlace>();
  /** Users whose media were looked after since this room opened: a crash may have left some unsettled. */
  #mediaSeen = new Set<string>();

  constructor(stores: Stores) {
    this.#stores = stores;
  }

  async run(call: Call): Promise<Outcome> {
    try {
      const answer = await this.#answer(call);
      const { userId } = call.user;
      return { answer, syncing: this.#running.has(userId), unsettled: this.#unsettled.has(userId) };
    } catch (error) {
      throw await this.#located(asSyncError(error), call.user);
    }
  }

  async close(): Promise<void> {
    for (const userId of [...this.#running.keys()]) await this.#abort(userId);
    // what cannot be settled now is settled after the next start
    for (const user of [...this.#unsettled.values()]) await this.#settleMedia(user).catch(() => {});
    await Promise.all([this.#stores.collections.close(), this.#stores.media.close(), this.#stores.mediaFiles.close()]);
  }

  async #answer(call: Call): Promise<Answer> {
    const { collections, media, mediaFiles } = this.#stores;
    const { user } = call;
    switch (call.step) {
      case 'abort':
      case 'expire':
        await this.#abort(user.userId);
        return text('null');
      case 'release':
        await this.#abort(user.userId);
        // a full disk must not keep the collection open; the journal is kept, and settled after the next upload
        await this.#settleMedia(user).catch(() => {});
        await Promise.all([collections.release(user), media.release(user), mediaFiles.release(user)]);
        return text('null');
      case 'settleMedia':
        this.#seeMedia(user);
        await this.#settleSomeMedia(user);
        return text('null');
      case 'stagingFolder':
        return text(await collections.stagingFolder(user));
      case 'mediaStagingFolder':
        return text(await mediaFiles.stagingFolder(user));
      case 'copy':
        await this.#copy(user, call.to, call.patienceMillis);
        return text('null');
      case 'overview':
        return json((await this.#overview(user, call.days)) as unknown as Json);
      case 'collectionBytes':
        await this.#abort(user.userId);
        return json((await collections.meta(user)).bytes ?? null);
      case 'erase':
        await this.#erase(user);
        return text('null');
      case 'upload':
        await this.#abort(user.userId);
        await collections.importFile(user, call.path);
        return text('OK');
      case 'download': {
        await this.#abort(user.userId);
        return exportedAnswer(await collections.exportFile(user));
      }
      case 'uploadChanges':
        this.#unsettled.set(user.userId, user);
        return this.#uploadMedia(user, call.zip, call.maxTotalBytes);
      default:
        return this.#jsonStep(call, parseJsonBody(call.body));
    }
  }

  async #jsonStep({ step, user, sessionKey, hostKey = '', maxCollectionBytes }: JsonCall, body: Json): Promise<Answer> {
    const { collections, media, mediaFiles } = this.#stores;
    switch (step) {
      case 'meta': {
        const { syncVersion } = parseMetaRequest(body);
        await this.#abort(user.userId);
        const mediaUsn = await this.#mediaUsn(user);
        const metaSource = { collection: await collections.meta(user), mediaUsn: mediaUsn ?? 0 };
        const answer = {
          ...json(metaAnswer(metaSource, syncVersion, Date.now(), maxCollectionBytes) as unknown as Json),
          ...overQuota(metaSource, maxCollectionBytes),
        };
        return mediaUsn === undefined ? answer : { ...answer, metaSource };
      }
      case 'start':
        return this.#start(user, sessionKey, body);
      case 'applyGraves': {
        const request = parseGravesRequest(body);
        return this.#inSync(user, sessionKey, async (sync) => (await applyGraves(sync, request), text('null')));
      }
      case 'applyChanges': {
        const request = parseUnchunkedChangesRequest(body);
        return this.#inSync(user, sessionKey, async (sync) => text(await applyChanges(sync, request, Math.floor(Date.now() / 1000))));
      }
      case 'chunk':
        parseEmptyRequest(body);
        return this.#inSync(user, sessionKey, async (sync) => text(await chunk(sync)));
      case 'applyChunk': {
        const request = parseChunkRequest(body);
        return this.#inSync(user, sessionKey, async (sync) => {
          const stored = once(await applyChunk(sync, request));
          sync.stored = stored;
          // what it fails with is told by the next step
          return { ...text('null'), after: () => void stored().catch(() => {}) };
        });
      }
      case 'sanityCheck2': {
        const counts = parseSanityRequest(body);
        return this.#inSync(user, sessionKey, async (sync) => {
          const answer = await sanityCheck(sync, counts);
          if (answer.status === 'bad') await this.#abort(user.userId);
          return json(answer as unknown as Json);
        });
      }
      case 'finish':
        parseEmptyRequest(body);
        return this.#inSync(user, sessionKey, async (sync) => {
          const modifiedMillis = await finish(sync, Date.now());
          this.#running.delete(user.userId);
          this.#steppedMillis.delete(user.userId);
          return { ...json(modifiedMillis), moved: sync.moved };
        });
      case 'begin':
        this.#seeMedia(user);
        return media200(await begin({ store: media, files: mediaFiles, user }, parseBeginRequest(body).clientVersion, hostKey));
      case 'mediaChanges':
        return this.#mediaChanges(user, parseMediaChangesRequest(body).lastUsn);
      case 'downloadFiles': {
        const zip = await downloadFiles({ store: media, files: mediaFiles, user }, parseDownloadFilesRequest(body).files);
        return zip.kind === 'bytes' ? { ...zip, level: FAST_LEVEL } : zip;
      }
      case 'mediaSanity':
        return media200(await mediaSanity(media, user, parseMediaSanityRequest(body).local));
    }
  }

  /** Undefined of a damaged index: that stops the media, and nothing else. They ask for it themselves, and tell. */
  async #mediaUsn(user: UserPlace): Promise<number | undefined> {
    try {
      return (await this.#stores.media.totals(user)).lastUsn;
    } catch (error) {
      if (error instanceof SyncError && error.code === 'MEDIA_INDEX_DAMAGED') return undefined;
      throw error;
    }
  }

  /** Errors of SQLite and of the system do not tell which collection it was. */
  async #located(error: SyncError, user: UserPlace): Promise<SyncError> {
    if (error.code !== 'COLLECTION_DAMAGED' && error.code !== 'STORAGE_FAILED') return error;
    const found = await this.#stores.collections.whereabouts?.(user).catch(() => undefined);
    if (found === undefined) return error;
    const snapshot = error.code === 'COLLECTION_DAMAGED' ? found.snapshot : undefined;
    const detail = `${found.place}: ${error.detail ?? error.message}`;
    return new SyncError(error.code, error.message, { cause: error.cause, detail, ...(snapshot === undefined ? {} : { snapshot }) });
  }

  /** A new start takes over from whatever was running. */
  async #start(user: UserPlace, sessionKey: string, body: Json): Promise<Answer> {
    const request = parseStartRequest(body);
    await this.#abort(user.userId);
    const store = await this.#stores.collections.begin(user, sessionKey);
    try {
      const { sync, graves } = await start(store, sessionKey, request, Date.now());
      this.#running.set(user.userId, sync);
      this.#steppedMillis.set(user.userId, performance.now());
      const list = (ids: (number | bigint)[]): string => `[${ids.join(',')}]`;
      return text(`{"cards":${list(graves.cards)},"decks":${list(graves.decks)},"notes":${list(graves.notes)}}`);
    } catch (error) {
      await store.rollback();
      throw error;
    }
  }

  /**
   * Lends the running sync to a step. Whatever a step throws rolls the sync back, so that its next step gets a conflict:
   * most failures are objects that refer to missing ones, and the client must check its database before it goes on.
   */
  async #inSync(user: UserPlace, sessionKey: string, step: (sync: RunningSync) => Promise<Answer>): Promise<Answer> {
    const sync = this.#running.get(user.userId);
    if (sync === undefined) throw new SyncError('SYNC_NOT_ACTIVE', 'no sync is running');
    if (sync.sessionKey !== sessionKey) throw new SyncError('SYNC_TAKEN_OVER', 'another device has started a sync');
    this.#steppedMillis.set(user.userId, performance.now());
    try {
      await sync.stored?.();
      return await step(sync);
    } catch (error) {
      await this.#abort(user.userId);
      throw error instanceof SchemaError ? new SyncError('STEP_FAILED', error.message) : error;
    }
  }

  async #mediaChanges(user: UserPlace, lastUsn: number): Promise<Answer> {
    const { media } = this.#stores;
    const rows = await mediaChanges(media, user, lastUsn);
    // what it fails with is told by whoever asks for that page
    const after = (): void => void readAhead(media, user, rows).catch(() => {});
    return { ...text(`{"data":${rows},"err":""}`), level: FAST_LEVEL, after };
  }

  async #uploadMedia(user: UserPlace, zip: string | Uint8Array, maxTotalBytes?: number): Promise<Answer> {
    const { media, mediaFiles } = this.#stores;
    const answer = await uploadChanges({ store: media, files: mediaFiles, user, maxTotalBytes, unsettledUsers: this.#unsettled.size }, zip);
    return { ...media200(answer), moved: { up: answer[0], down: 0 } };
  }

  /** For a backup: collection and media index as of one moment between two syncs. */
  async #copy(user: UserPlace, folder: string, patienceMillis: number): Promise<void> {
    const { collections, media } = this.#stores;
    if (collections.copyTo === undefined || media.copyTo === undefined) throw new SyncError('INTERNAL', 'these stores cannot be copied');
    if (this.#running.has(user.userId)) {
      const silentMillis = performance.now() - (this.#steppedMillis.get(user.userId) ?? 0);
      if (silentMillis < patienceMillis) throw new SyncError('BUSY', 'a sync is running');
      await this.#abort(user.userId);
    }
    // so that each file is in its place; where it cannot be brought there now, it lies among the staged ones
    this.#unsettled.set(user.userId, user);
    await this.#settleMedia(user).catch(() => {});
    await collections.copyTo(user, join(folder, 'collection.anki2'));
    await media.copyTo(user, join(folder, 'media.db'));
  }

  async #overview(user: UserPlace, days: number): Promise<Overview | null> {
    if (this.#running.has(user.userId)) return null;
    const { collections, media } = this.#stores;
    if (collections.overview === undefined) return {};
    const collection = await collections.overview(user, { nowMillis: Date.now(), days });
    // an index would be made where there is none
    return collection === null ? { collection } : { collection, media: await media.totals(user) };
  }

  async #erase(user: UserPlace): Promise<void> {
    const { collections, media, mediaFiles } = this.#stores;
    await this.#abort(user.userId);
    const fresh = join(await collections.stagingFolder(user), `fresh-${randomBytes(12).toString('hex')}.anki2`);
    try {
      const { createCollectionFile } = await import('../storage/sqlite/collection-file.ts');
      createCollectionFile(fresh);
      await collections.importFile(user, fresh);
    } finally {
      await removeStaged(fresh);
    }
    await eraseMedia({ store: media, files: mediaFiles, user });
    this.#unsettled.delete(user.userId);
  }

  #seeMedia(user: UserPlace): void {
    if (this.#mediaSeen.has(user.userId)) return;
    this.#mediaSeen.add(user.userId);
    this.#unsettled.set(user.userId, user);
  }

  async #settleMedia(user: UserPlace): Promise<void> {
    while (!(await this.#settleSomeMedia(user)));
  }

  /** So that another request of the user never waits for thousands. Answers whether that was all. */
  async #settleSomeMedia(user: UserPlace): Promise<boolean> {
    if (!this.#unsettled.has(user.userId)) return true;
    const isAll = await settleSome({ store: this.#stores.media, files: this.#stores.mediaFiles, user });
    if (isAll) this.#unsettled.delete(user.userId);
    return isAll;
  }

  async #abort(userId: string): Promise<void> {
    const sync = this.#running.get(userId);
    if (sync === undefined) return;
    this.#running.delete(userId);
    this.#steppedMillis.delete(userId);
    await sync.stored?.().catch(() => {});
    await sync.store.rollback();
  }
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= work());
}

function text(value: string): Extract<Answer, { kind: 'bytes' }> {
  return { kind: 'bytes', data: value };
}

function json(value: Json): Extract<Answer, { kind: 'bytes' }> {
  return text(JSON.stringify(value));
}

/** Media answers are wrapped, and old clients expect `err` even when it is empty. */
function media200(data: unknown): Extract<Answer, { kind: 'bytes' }> {
  return text(JSON.stringify({ data, err: '' }));
}
