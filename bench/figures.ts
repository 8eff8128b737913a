/** The figures of both servers, taken in turn, and the table made of them. */
import type { ServerProcess } from './server-process.ts';

export type Unit = 'ms' | 'MiB' | 'per second' | 'files';

interface Row {
  title: string;
  unit: Unit;
  samples: Map<string, number[]>;
}

export class Figures {
  readonly #rows = new Map<string, Row>();

  add(title: string, unit: Unit, server: ServerProcess, value: number): void {
    let row = this.#rows.get(title);
    if (!row) this.#rows.set(title, (row = { title, unit, samples: new Map() }));
    let samples = row.samples.get(server.label);
    if (!samples) row.samples.set(server.label, (samples = []));
    samples.push(value);
  }

  /** Medians, and how many times better the first server is than the second: the median of the pairs, which cancels slow drift of the machine. */
  table(servers: readonly ServerProcess[]): string {
    const [ours, other] = servers.map((server) => server.label) as [string, string | undefined];
    const lines = [other === undefined ? `| | ${ours} |` : `| | ${ours} | ${other} | better by |`, other === undefined ? '|---|---|' : '|---|---|---|---|'];
    for (const { title, unit, samples } of this.#rows.values()) {
      const mine = samples.get(ours) ?? [];
      const cells = [title, figure(median(mine), unit)];
      if (other !== undefined) {
        const theirs = samples.get(other) ?? [];
        cells.push(figure(median(theirs), unit), mine.length > 0 && theirs.length > 0 ? `${ratio(mine, theirs, unit).toFixed(2)}x` : '');
      }
      lines.push(`| ${cells.join(' | ')} |`);
    }
    return lines.join('\n');
  }

  /** Every sample, by row and server. */
  asJson(): object {
    return Object.fromEntries([...this.#rows.values()].map(({ title, unit, samples }) => [title, { unit, ...Object.fromEntries(samples) }]));
  }
}

export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** NaN of nothing. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? NaN;
}

function ratio(mine: readonly number[], theirs: readonly number[], unit: Unit): number {
  const better = (a: number, b: number): number => (unit === 'per second' ? a / b : b / a);
  if (mine.length !== theirs.length) return better(median(mine), median(theirs));
  return median(mine.map((value, i) => better(value, theirs[i]!)));
}

function figure(value: number, unit: Unit): string {
  if (Number.isNaN(value)) return '';
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return unit === 'files' ? String(value) : `${value.toFixed(digits)}${unit === 'per second' ? '/s' : ` ${unit}`}`;
}
