/**
 * `/sync/upload`, the full upload: streamed into the staging folder, checked and converted in a lane of its own, and only then taken into
 * the user's room, where it replaces the collection as a whole. What is wrong with the file is told in an answer of status 200, which every
 * client shows as it is.
 */
import { SyncError } from '../errors.ts';
import type { HttpResponse } from '../http.ts';
import { quotaWords } from '../plain-words.ts';
import { receiveBody } from '../protocol/body-to-file.ts';
import { packedResponse } from '../protocol/response.ts';
import { removeStaged } from '../storage/files/staging.ts';
import { traced, UPLOADS } from '../tracing.ts';
import { noteOf } from './log-lines.ts';
import { placeOf } from './rooms.ts';
import { newStagingFile } from './staging-file.ts';
import { requireStillSignedIn, responseTo, type StepCall } from './step.ts';

/** The words of the official server; clients show them as they are. */
const CORRUPT = 'Your upload was corrupt. Please use Check Database, or restore from backup.';
const TOO_LARGE = 'collection exceeds size limit';
const TOO_NEW = 'This collection was made by a newer Anki than this server knows. Please ask the administrator to update the server.';

export async function upload(call: StepCall): Promise<HttpResponse> {
  const { request, user, entry, options } = call;
  entry.event = 'upload.refused';
  const path = await newStagingFile(call, 'upload');
  try {
    const { bytes } = await receiveBody(request, path, options.limits);
    request.receivedBytes = bytes;
    return await traced(UPLOADS, { user: user.loginName, bytes }, () => replaceBy(path, call));
  } catch (error) {
    if (!(error instanceof SyncError)) throw error;
    if (error.code === 'BODY_TOO_LARGE') return refused(call, TOO_LARGE, error.message);
    if (error.code === 'UPLOAD_EMPTY') return refused(call, CORRUPT, error.message);
    throw error;
  } finally {
    await removeStaged(path);
  }
}

async function replaceBy(path: string, call: StepCall): Promise<HttpResponse> {
  const { rooms, request, user, entry, tell } = call;
  const verdict = await rooms.engine.prepareUpload(path);
  if (verdict.verdict === 'corrupt') return refused(call, CORRUPT, verdict.reason);
  if (verdict.verdict === 'too-new') return refused(call, TOO_NEW, `schema ${verdict.schemaVersion}`);
  const { maxCollectionBytes: most = Infinity } = await rooms.quotas.of(user);
  if (verdict.bytes > most && verdict.bytes > (await bytesNow(call))) {
    return refused(call, quotaWords('collection', verdict.bytes, most), `a collection of ${verdict.bytes} bytes; ${most} are allowed`);
  }
  if (verdict.losses.length > 0) tell(noteOf('info', 'upload', user, `not kept in schema 11: ${verdict.losses.slice(0, 20).join('; ')}`));
  await requireStillSignedIn(call);
  const answer = await rooms.engine.run({ step: 'upload', user: placeOf(user), path });
  entry.event = 'upload.replaced';
  return responseTo(request, answer);
}

/** Normal syncs may have made it larger than its quota: what makes it less is welcome. */
async function bytesNow({ rooms, user }: StepCall): Promise<number> {
  const answer = await rooms.engine.run({ step: 'collectionBytes', user: placeOf(user) });
  return answer.kind === 'bytes' ? Number(answer.data) || 0 : 0;
}

function refused({ request, user, tell }: StepCall, words: string, reason: string): Promise<HttpResponse> {
  tell(noteOf('warn', 'upload', user, reason));
  return packedResponse(request.version, words);
}
