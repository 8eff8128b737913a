/** Method of the protocol → step. What decides who wins stands in `collection` and `media`. */
import { readEmptyBody } from '../protocol/json-body.ts';
import type { MediaMethod, SyncMethod } from '../protocol/methods.ts';
import { deviceAt } from './device.ts';
import { jsonStep } from './json-step.ts';
import { placeOf } from './rooms.ts';
import { responseTo, type Step } from './step.ts';
import { upload } from './upload.ts';
import { uploadChanges } from './upload-changes.ts';

const meta: Step = async (call) => {
  const { rooms, request, user, entry } = call;
  const { maxCollectionBytes } = await rooms.quotas.of(user);
  const maySay = maxCollectionBytes !== undefined && rooms.quotas.isToTell(request.hostKey);
  let { client } = request;
  const response = await jsonStep('meta', call, {
    heard: (body) => {
      client = clientVersionIn(body) ?? client;
    },
    answered: (answer) => {
      if (answer.kind !== 'bytes' || answer.overQuotaBytes === undefined) return;
      rooms.quotas.told(request.hostKey);
      [entry.level, entry.detail] = ['warn', `a collection of ${answer.overQuotaBytes} bytes; ${maxCollectionBytes} are allowed`];
    },
    ...(maySay ? { maxCollectionBytes } : {}),
  });
  rooms.hostKeys.synced?.(request.hostKey, deviceAt(entry, client));
  return response;
};

/** In `meta`, clients say more of themselves than in the header of each request: the model of a phone, for instance. */
function clientVersionIn(body: Buffer): string | undefined {
  return body.length > 1000 ? undefined : /"cv":\s*"([^"\\]*)"/.exec(String(body))?.[1];
}

const finish: Step = async (call) => {
  const response = await jsonStep('finish', call);
  call.rooms.quotas.synced(call.request.hostKey);
  return response;
};

const abort: Step = async ({ rooms, request, user, options }) => {
  await readEmptyBody(request, options.limits);
  return responseTo(request, await rooms.engine.run({ step: 'abort', user: placeOf(user) }));
};

const download: Step = async ({ rooms, request, user, options }) => {
  await readEmptyBody(request, options.limits);
  return responseTo(request, await rooms.engine.run({ step: 'download', user: placeOf(user) }));
};

/** A method of the protocol without a step does not compile. `hostKey`, which comes before there is a user, is `login.ts`. */
export const STEPS: Record<Exclude<SyncMethod, 'hostKey'> | MediaMethod, Step> = {
  meta,
  start: (call) => jsonStep('start', call),
  applyGraves: (call) => jsonStep('applyGraves', call),
  applyChanges: (call) => jsonStep('applyChanges', call),
  chunk: (call) => jsonStep('chunk', call),
  applyChunk: (call) => jsonStep('applyChunk', call),
  sanityCheck2: (call) => jsonStep('sanityCheck2', call),
  finish,
  abort,
  upload,
  download,
  begin: (call) => jsonStep('begin', call),
  mediaChanges: (call) => jsonStep('mediaChanges', call),
  uploadChanges,
  downloadFiles: (call) => jsonStep('downloadFiles', call),
  mediaSanity: (call) => jsonStep('mediaSanity', call),
};
