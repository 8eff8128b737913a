/** `/msync/uploadChanges`: a zip of media files, in memory where it is small. */
import { SyncError } from '../errors.ts';
import type { HttpResponse } from '../http.ts';
import { receiveBody } from '../protocol/body-to-file.ts';
import { receiveSmallBody } from '../protocol/small-body.ts';
import { removeStaged } from '../storage/files/staging.ts';
import { given } from './given.ts';
import { placeOf } from './rooms.ts';
import { newStagingFile } from './staging-file.ts';
import { requireStillSignedIn, responseTo, type StepCall } from './step.ts';

export async function uploadChanges(call: StepCall): Promise<HttpResponse> {
  const { rooms, request, user, options } = call;
  let path: string | undefined;
  try {
    const small = await receiveSmallBody(request, options.limits);
    if (small.bytes === undefined) {
      path = await newStagingFile(call, 'media');
      request.receivedBytes = (await receiveBody(request, path, options.limits, small.begun)).bytes;
    } else request.receivedBytes = small.bytes.length;
    await requireStillSignedIn(call);
    const { maxMediaBytes } = await rooms.quotas.of(user);
    return await responseTo(request, await rooms.engine.run({
      step: 'uploadChanges', user: placeOf(user), zip: small.bytes ?? path!, ...given({ maxTotalBytes: maxMediaBytes }),
    }));
  } catch (error) {
    if (error instanceof SyncError && error.code === 'UPLOAD_EMPTY') throw new SyncError('MEDIA_ZIP_INVALID', 'the zip is empty');
    throw error;
  } finally {
    if (path !== undefined) await removeStaged(path);
  }
}
