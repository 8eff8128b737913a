/** The part of an upload's check that a second thread can do beside the rest. Of its own, since that thread needs none of the conversion's code. */
import { faultOfFile } from './anki2-corrupt.ts';
import { checkTables } from './anki2-integrity.ts';

/** The tables with the most rows: comparing them with their indexes takes half of the whole check. */
export const TABLES_APART: readonly string[] = ['revlog', 'cards'];

/** Only between the two yields of `preparing`. Answers what is wrong with the file, for the log, or null. Throws what is not the file's fault. */
export function checkApart(path: string): string | null {
  try {
    checkTables(path, TABLES_APART);
    return null;
  } catch (error) {
    const reason = faultOfFile(error);
    if (reason === undefined) throw error;
    return reason;
  }
}
