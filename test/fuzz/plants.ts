/** Bugs planted in a copy of the server, to prove that the fuzzer finds them. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { planted, type Plant } from '../oracle/random/plants.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export const PLANTS: Plant[] = [
  {
    name: 'a failed step leaves its sync running',
    file: 'lib/engine/session.ts',
    find: 'await this.#abort(user.userId);\n      throw error instanceof SchemaError',
    replace: 'throw error instanceof SchemaError',
  },
  {
    name: 'media names may have slashes',
    file: 'lib/media/media-name.ts',
    find: "return 'contains a slash or NUL';",
    replace: 'void 0;',
  },
  {
    name: 'a header that is null is not expected',
    file: 'lib/protocol/request.ts',
    find: "if (typeof header !== 'object' || header === null) throw",
    replace: "if (typeof header !== 'object') throw",
  },
  {
    name: 'an error of the parser of JSON is not caught',
    file: 'lib/engine/json-body.ts',
    find: "throw new SyncError('BODY_NOT_JSON', 'the body is not JSON', { cause: error });",
    replace: 'throw error;',
  },
  {
    name: 'bodies are kept for ever',
    file: 'lib/protocol/json-body.ts',
    find: 'return { packed: pieces.length',
    replace: '((globalThis as { kept?: Buffer[] }).kept ??= []).push(Buffer.alloc(20_000));\n  return { packed: pieces.length',
  },
  {
    name: 'sessions of syncs are kept for ever',
    file: 'lib/engine/session.ts',
    find: 'const request = parseStartRequest(body);',
    replace: 'const request = parseStartRequest(body);\n    ((globalThis as { kept?: unknown[] }).kept ??= []).push(Array.from({ length: 9000 }, Math.random));',
  },
  {
    name: 'uploaded zips are not closed',
    file: 'lib/media/zip.ts',
    find: 'closeSync(this.#descriptor);',
    replace: 'void closeSync;',
  },
  {
    name: 'a refused request counts as on the way for ever',
    file: 'lib/server/user-request.ts',
    find: '} catch (error) {\n    leave();',
    replace: '} catch (error) {',
  },
  {
    name: 'a device may go on with the sync of another',
    file: 'lib/engine/session.ts',
    find: 'if (sync.sessionKey !== sessionKey) throw',
    replace: 'if (sync.sessionKey !== sessionKey && sessionKey === sync.sessionKey) throw',
  },
  {
    name: 'a sync that ends early is kept',
    file: 'lib/engine/session.ts',
    find: 'await sync.store.rollback();',
    replace: 'await sync.store.commit(Date.now());',
  },
  {
    name: 'the log quotes a login that is no JSON',
    file: 'lib/server/login.ts',
    find: "new SyncError('BODY_NOT_JSON', 'the body is not JSON');",
    replace: "new SyncError('BODY_NOT_JSON', 'the body is not JSON', { detail: body.toString() });",
  },
  {
    name: 'what is left of a refused form stays in its connection',
    file: 'lib/protocol/form-request.ts',
    find: 'return { ...request, release: async () => source.discard() };',
    replace: 'return request;',
  },
  {
    name: 'checksums of zips are not looked at',
    file: 'lib/media/zip.ts',
    find: '|| checksum !== entry.crc32)',
    replace: '|| checksum === -1)',
  },
  {
    name: 'a form that is no UTF-8 ends the process',
    file: 'lib/protocol/multipart.ts',
    find: 'if (!isUtf8(value)) throw',
    replace: 'if (!isUtf8(value)) process.exit(7);\n    if (!isUtf8(value)) throw',
  },
  {
    name: 'host keys of users who were removed still hold',
    file: 'lib/auth/sqlite-host-keys.ts',
    find: 'const owner = this.#database.keyOwner(keyHash);',
    replace: "const seen = ((globalThis as { seen?: Map<string, ReturnType<UsersDatabase['keyOwner']>> }).seen ??= new Map());\n"
      + '    const owner = seen.get(keyHash) ?? this.#database.keyOwner(keyHash);\n    if (owner !== undefined) seen.set(keyHash, owner);',
  },
  {
    name: 'a download is not removed',
    file: 'lib/server/step.ts',
    find: 'done: () => rm(answer.path, { force: true }),',
    replace: 'done: () => {},',
  },
];

/** Each bug still has its place in the sources. */
export async function checkPlants(): Promise<void> {
  for (const plant of PLANTS) planted(await readFile(join(ROOT, plant.file), 'utf8'), plant);
}
