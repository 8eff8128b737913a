/** Clients refuse to sync where their clock and the server's differ by more than five minutes. */
import { right, wrong, type Finding } from '../finding.ts';
import type { Visit } from '../visit.ts';

const CHECK = 'clock';
const REFUSED_SECS = 300;

export async function checkClock({ report }: Visit): Promise<Finding[]> {
  return report === undefined ? [] : [clockFinding(report.timeMillis, Date.now())];
}

export function clockFinding(serverMillis: number, nowMillis: number): Finding {
  const secs = Math.round((serverMillis - nowMillis) / 1000);
  if (Math.abs(secs) < REFUSED_SECS) return right(CHECK, 'as here');
  return wrong(CHECK, 'CLOCK_WRONG', `the server's clock is ${spanned(Math.abs(secs))} ${secs > 0 ? 'ahead of' : 'behind'} the one here`);
}

function spanned(secs: number): string {
  return secs < 7200 ? `${Math.round(secs / 60)} minutes` : `${Math.round(secs / 3600)} hours`;
}
