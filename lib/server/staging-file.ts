/** A file for a body that never stands in memory. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Answer } from '../engine/calls.ts';
import { placeOf } from './rooms.ts';
import type { StepCall } from './step.ts';

/** @returns a path that nobody else has, in a folder where the store can take the file from. */
export async function newStagingFile({ rooms, user }: StepCall, kind: 'upload' | 'media'): Promise<string> {
  const step = kind === 'upload' ? 'stagingFolder' : 'mediaStagingFolder';
  const answer = await rooms.engine.run({ step, user: placeOf(user) });
  const folder = String((answer as Extract<Answer, { kind: 'bytes' }>).data);
  return join(folder, `${kind}-${randomBytes(12).toString('hex')}${kind === 'upload' ? '.anki2' : '.zip'}`);
}
