/** What an examination found. */
import type { Fault } from './faults.ts';

/** `warning`: Anki syncs, and something should be changed all the same. `skipped`: nothing can be said, and why. */
export type Mark = 'right' | 'wrong' | 'warning' | 'skipped';

export interface Finding {
  /** What was looked at, in a word or two. */
  check: string;
  mark: Mark;
  /** One sentence. Holds no secret; text from outside is cut and stripped. */
  words: string;
  /** Of `wrong` and `warning`. */
  fault?: Fault;
}

export function right(check: string, words: string): Finding {
  return { check, mark: 'right', words };
}

export function wrong(check: string, fault: Fault, words: string): Finding {
  return { check, mark: 'wrong', words, fault };
}

export function warning(check: string, fault: Fault, words: string): Finding {
  return { check, mark: 'warning', words, fault };
}

export function skipped(check: string, words: string): Finding {
  return { check, mark: 'skipped', words };
}
