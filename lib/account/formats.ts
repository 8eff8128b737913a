/** Numbers and times for people. */
import { html, type Html } from './html.ts';

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { maximumFractionDigits: 1 });
const dateAndTime = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' });
const dateOnly = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeZone: 'UTC' });

export function count(number: number, one: string, many = `${one}s`): string {
  return `${whole.format(number)} ${number === 1 ? one : many}`;
}

export function bytes(number: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let value = number;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${short.format(value)} ${units[unit]}`;
}

export function minutes(millis: number): string {
  return count(Math.round(millis / 60_000), 'minute');
}

/** The script of the page shows it in the time of the browser. */
export function moment(millis: number): Html {
  const iso = isoOf(millis);
  return iso === undefined ? html`unknown` : html`<time datetime="${iso}">${dateAndTime.format(millis)} UTC</time>`;
}

export function day(millis: number): Html {
  const iso = isoOf(millis);
  return iso === undefined ? html`unknown` : html`<time datetime="${iso.slice(0, 10)}">${dateOnly.format(millis)}</time>`;
}

/** Numbers that come from a client's clock may be anything. */
function isoOf(millis: number): string | undefined {
  const date = new Date(millis);
  return Number.isNaN(date.getTime()) || date.getUTCFullYear() > 9999 || date.getUTCFullYear() < 1 ? undefined : date.toISOString();
}
