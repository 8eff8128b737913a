/** `anki-sync gateway`: everything that `serve` does for sign-in, in front of a server that is there already. */
import { serve } from './serve.ts';
import type { Surroundings } from './surroundings.ts';

export function gateway(args: string[], surroundings: Surroundings): Promise<number> {
  return serve(args, surroundings, 'gateway');
}
