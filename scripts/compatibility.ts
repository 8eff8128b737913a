/** Writes the table of docs/compatibility.md from what `npm test old-clients` found last. */
import { writePage } from '../test/client/old/table.ts';

await writePage();
