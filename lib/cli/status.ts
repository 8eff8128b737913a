/** `anki-sync status`: what the running server does now, told by itself through its control socket. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Activity } from '../activity.ts';
import { connectToControl, type ControlClient } from '../backup/control.ts';
import { parseFlags } from './flags.ts';
import { sized } from './quantities.ts';
import { baseFlag, baseFolder } from './settings.ts';
import type { Surroundings } from './surroundings.ts';
import { UsageError } from './usage-error.ts';

export const statusFlags = { ...baseFlag, watch: 'switch', json: 'switch' } as const;

export interface ServerStatus extends Activity {
  version: string;
  pid: number;
  /** Addresses that it listens on, as clients enter them. */
  url: string;
  uptimeSecs: number;
  rssBytes: number;
}

const BETWEEN_MILLIS = 1_000;

export async function status(args: string[], { env, homeFolder, output, errors }: Surroundings): Promise<number> {
  const { words, flags } = parseFlags(args, statusFlags);
  if (words.length > 0) throw new UsageError(`status takes no "${words[0]}"`);
  const base = baseFolder(flags, env, homeFolder);
  const control = await connectToControl(base);
  if (control === null) {
    errors.write(`no server is running on ${base}\n`);
    return 1;
  }
  try {
    const show = (now: ServerStatus): string => (flags.has('json') ? `${JSON.stringify(now)}\n` : statusText(now));
    output.write(show(await statusOf(control)));
    while (flags.has('watch')) {
      await sleep(BETWEEN_MILLIS);
      const text = show(await statusOf(control));
      // from the top of the terminal, with what stood there cleared
      output.write(output.isTTY && !flags.has('json') ? `\x1b[H\x1b[J${text}` : text);
    }
  } catch (error) {
    if (!flags.has('watch')) throw error;
    errors.write(`${(error as Error).message}\n`);
  } finally {
    control.close();
  }
  return 0;
}

async function statusOf(control: ControlClient): Promise<ServerStatus> {
  return (await control.ask({ status: true })) as unknown as ServerStatus;
}

export function statusText(now: ServerStatus): string {
  const { requests, syncs, queues } = now;
  const lines = [
    `anki-sync ${now.version} at ${now.url}, process ${now.pid}, up ${duration(now.uptimeSecs)}`,
    `memory ${sized(now.rssBytes)} · open collections ${now.openCollections} · threads ${now.threads}`
      + ` · waiting: calls ${queues.users}, logins ${queues.logins}, uploads ${queues.uploads}`,
  ];
  if (now.maintenance !== undefined) lines.push(`maintenance: ${plain(now.maintenance)}`);
  lines.push('', syncs.length === 0 ? 'nobody is syncing' : 'syncing');
  for (const { user, kind, client, runningMillis, up, down, silentMillis } of syncs) {
    const silent = silentMillis > 5_000 ? `, silent for ${duration(silentMillis / 1000)}` : '';
    const moved = `up ${sized(up.bytes)}, down ${sized(down.bytes)}${silent}`;
    lines.push(`  ${plain(user)}  ${kind}  ${duration(runningMillis / 1000)}  ${moved}  ${plain(client ?? '')}`);
  }
  const others = requests.filter(({ request }) => request !== '');
  if (others.length > 0) lines.push('', 'requests');
  for (const { request, user, address, runningMillis } of others) {
    lines.push(`  ${plain(request)}  ${plain(user ?? '')}  ${(runningMillis / 1000).toFixed(1)} s  ${plain(address ?? '')}`);
  }
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}

/** `5 s`, `3 min`, `2 h 5 min`, `4 days 1 h`. */
export function duration(secs: number): string {
  if (secs < 60) return `${Math.floor(secs)} s`;
  const minutes = Math.floor(secs / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  const days = Math.floor(hours / 24);
  return `${days} day${days === 1 ? '' : 's'} ${hours % 24} h`;
}

/** Names and clients are text from outside, and this is a terminal. */
function plain(text: string): string {
  return text.replaceAll(/[^\p{L}\p{N}\p{M}\p{P}\p{S} ]/gu, '\ufffd').slice(0, 100);
}
