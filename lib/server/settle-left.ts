/**
 * Media that a crash, or a stop that took too long, left uploaded and not in their places. This server serves them as they are; but
 * whoever looks into the folder, or starts the official server on it, does not find them, and their users may not come for months.
 */
import { hasStagedMedia } from '../storage/files/media-places.ts';
import { userFolder } from '../storage/files/user-folder.ts';
import { placeOf, type Rooms } from './rooms.ts';

/** After a start, one user after the other. What cannot be done now waits for the user's next sync, as ever. */
export async function settleLeft(base: string, { auth, engine, forwarding }: Rooms, isClosing: () => boolean): Promise<void> {
  if (forwarding !== undefined) return;
  for (const user of await auth.directory.list()) {
    if (isClosing()) return;
    const place = placeOf(user);
    try {
      // the rest follows by itself, whenever the user is idle
      if (await hasStagedMedia(userFolder(base, place))) await engine.run({ step: 'settleMedia', user: place });
    } catch {
      // a full disk, a damaged index: whoever syncs is told
    }
  }
}
