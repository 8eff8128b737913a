import { fuzz, emptyCells } from '../test/fuzz/fuzzer.ts';
const seed = Number(process.argv[2] ?? 1), requests = Number(process.argv[3] ?? 2000);
const r = await fuzz({ seed, requests, maxFailures: 30, progress: (n) => console.log(n), ...(process.argv[4] ? { only: [Number(process.argv[4])] } : {}) });
const { failures, cells, ...rest } = r;
console.log(rest, { cells: cells.size, empty: emptyCells(r).length });
for (const f of failures) console.log('-', f.text);
