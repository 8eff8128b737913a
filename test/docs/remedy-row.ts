/** A fault as docs/doctor.md shows it. */
import { REMEDIES, type Fault, type Remedy } from '../../lib/doctor/faults.ts';

const PROXIES: Readonly<Record<string, string>> = { nginx: 'nginx', caddy: 'Caddy', apache: 'Apache', haproxy: 'HAProxy' };

export function remedyRow(code: Fault): string {
  const { shows, change, ...byProxy }: Remedy = REMEDIES[code];
  const settings = Object.entries(byProxy).map(([proxy, words]) => `<br>${PROXIES[proxy]}: ${String(words)}`).join('');
  return `| \`${code}\` | ${cell(shows)} | ${cell(change + settings)} |`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll(/<(?!br>)/g, '&lt;');
}
