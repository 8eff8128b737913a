import { SyncError } from '../errors.ts';
import { requireFolder, type UserMedia } from './user-media.ts';

export interface BeginAnswer {
  usn: number;
  /** Was a session key of its own once. Clients below 2.1.57 send back what they get here, and we expect the host key. */
  sk: string;
}

/** Clients say their version, and Anki's server refuses those that do not. */
export async function begin(media: UserMedia, clientVersion: string, hostKey: string): Promise<BeginAnswer> {
  if (clientVersion === '') throw new SyncError('BODY_INVALID', 'the client version is missing');
  await requireFolder(media);
  const { lastUsn } = await media.store.totals(media.user);
  return { usn: lastUsn, sk: hostKey };
}
