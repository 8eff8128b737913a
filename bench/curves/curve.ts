/** How a cost grows with a size: measured points, and the slope of the straight line through their logarithms. */
export interface Point {
  size: number;
  /** Named figures with their unit in the name, such as `ms a sync`. */
  costs: Record<string, number>;
}

export interface Curve {
  title: string;
  /** What the size counts: users, notes … */
  of: string;
  points: Point[];
}

/** 0: the cost stays as it is; 1: it grows as the size does. Least squares on log-log axes. */
export function slope(points: readonly Point[], cost: string): number {
  const xs = points.map(({ size }) => Math.log(size));
  const ys = points.map(({ costs }) => Math.log(costs[cost]!));
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const x = mean(xs);
  const y = mean(ys);
  const covariance = xs.reduce((sum, value, i) => sum + (value - x) * (ys[i]! - y), 0);
  return covariance / xs.reduce((sum, value) => sum + (value - x) ** 2, 0);
}

export function curveTable({ title, of, points }: Curve): string {
  const costs = Object.keys(points[0]!.costs);
  const rows = points.map(({ size, costs: measured }) => `| ${size.toLocaleString('en')} | ${costs.map((cost) => figure(measured[cost]!)).join(' | ')} |`);
  const slopes = `| *slope* | ${costs.map((cost) => slope(points, cost).toFixed(2)).join(' | ')} |`;
  return [`### ${title}`, '', `| ${of} | ${costs.join(' | ')} |`, `|---|${costs.map(() => '---|').join('')}`, ...rows, slopes].join('\n');
}

function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
