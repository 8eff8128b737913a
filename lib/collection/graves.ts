import type { Graves } from '../storage/storage.ts';
import type { RunningSync } from './running-sync.ts';

/** `applyGraves`: what the client deleted. Objects go, and their graves stay for the other devices. */
export async function applyGraves(sync: RunningSync, graves: Graves): Promise<void> {
  sync.moved.up += graves.cards.length + graves.notes.length + graves.decks.length;
  await sync.store.applyGraves(graves, sync.serverUsn);
}
