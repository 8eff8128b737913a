/** One examination, and what it found wrong. */
import assert from 'node:assert/strict';
import { examine } from '../../lib/doctor/examine.ts';
import type { Fault } from '../../lib/doctor/faults.ts';
import type { Finding } from '../../lib/doctor/finding.ts';
import type { DoctorOptions } from '../../lib/doctor/visit.ts';

/** Nothing slow, and 3 MiB, which all proxies' defaults refuse that refuse anything. */
export function examined(address: string, options: Partial<DoctorOptions> = {}): Promise<Finding[]> {
  return examine({ address, slowSecs: 0, bodyMib: 3, ...options });
}

/** Without what is only advisable. */
export function wrongOf(findings: readonly Finding[]): (Fault | undefined)[] {
  return [...new Set(findings.filter(({ mark }) => mark === 'wrong').map(({ fault }) => fault))];
}

export function warningsOf(findings: readonly Finding[]): (Fault | undefined)[] {
  return findings.filter(({ mark }) => mark === 'warning').map(({ fault }) => fault);
}

export function wordsOf(findings: readonly Finding[], fault: Fault): string {
  const found = findings.find((finding) => finding.fault === fault);
  assert.ok(found !== undefined, `${fault} among ${JSON.stringify(findings)}`);
  return found.words;
}
