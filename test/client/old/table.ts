/** The table of docs/compatibility.md, made of what the tests found. */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { RELEASES } from './releases.ts';
import { OLD_SCENARIOS } from './scenarios.ts';

/** By release and column: whether the scenario went through. */
export type Results = Record<string, Record<string, boolean>>;

const PAGE = fileURLToPath(new URL('../../../docs/compatibility.md', import.meta.url));
const RESULTS = fileURLToPath(new URL('../../../.cache/compatibility.json', import.meta.url));
const TABLE = /(<!-- table -->\n).*?(<!-- end of table -->)/s;

/** Lines of Markdown: the head, and a row for each release of which all scenarios were played. */
export function tableOf(results: Results): string[] {
  const columns = OLD_SCENARIOS.map(({ column }) => column);
  const rows = RELEASES.filter(({ version }) => columns.every((column) => results[version]?.[column] !== undefined)).map(
    ({ version, year, syncVersion }) => {
      const found = columns.map((column) => (results[version]![column] ? 'yes' : '**no**'));
      return [version, `${year}`, `${syncVersion}`, ...found];
    },
  );
  const head = ['Anki', 'year', 'sync version', ...columns];
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
}

export async function tableOfPage(): Promise<string[]> {
  return (TABLE.exec(await readFile(PAGE, 'utf8'))?.[0] ?? '').split('\n').slice(1, -1);
}

/** For `npm run compatibility`. Releases that could not be tried here keep what was found before. */
export async function keepResults(results: Results): Promise<void> {
  await writeFile(RESULTS, `${JSON.stringify({ ...(await keptResults()), ...results }, null, 2)}\n`);
}

export async function writePage(): Promise<void> {
  const page = await readFile(PAGE, 'utf8');
  const table = tableOf(await keptResults()).join('\n');
  await writeFile(PAGE, page.replace(TABLE, (_all, begin: string, end: string) => `${begin}${table}\n${end}`));
}

async function keptResults(): Promise<Results> {
  return readFile(RESULTS, 'utf8').then((text) => JSON.parse(text) as Results, () => ({}));
}
