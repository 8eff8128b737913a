import { CHANGES } from './changes.ts';
import { CHUNKS } from './chunks.ts';
import { FINISH } from './finish.ts';
import { GRAVES } from './graves.ts';
import { META } from './meta.ts';
import type { Rule } from './rule.ts';
import { SANITY_CHECK } from './sanity-check.ts';
import { START } from './start.ts';

/** Every rule, by the step it belongs to. */
export const RULES: Record<string, Rule[]> = {
  meta: META,
  start: START,
  applyGraves: GRAVES,
  applyChanges: CHANGES,
  'chunk and applyChunk': CHUNKS,
  sanityCheck2: SANITY_CHECK,
  'finish and download': FINISH,
};
