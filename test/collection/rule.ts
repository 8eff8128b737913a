import type { Player } from './player.ts';

/** One rule of the protocol: what is played, and what comes of it, on our server and on Anki's alike. */
export interface Rule {
  sentence: string;
  /** On a user nobody has seen yet. */
  play: (user: Player) => Promise<unknown>;
  expected: unknown;
  /** Where Anki's server does something else on purpose of ours, told in docs/differences.md. */
  official?: unknown;
  why?: string;
}
