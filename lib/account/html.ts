/** Markup from templates: whatever is put into one is escaped, unless it came from a template itself. */

/** Markup that is safe to send. Made by `html` alone. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type Fragment = Html | string | number | null | undefined | false | readonly Fragment[];

/** `html\`<p>${typed}</p>\``: lists are joined; null, undefined and false are nothing. */
export function html(strings: TemplateStringsArray, ...values: Fragment[]): Html {
  let text = strings[0]!;
  for (const [index, value] of values.entries()) text += markupOf(value) + strings[index + 1]!;
  return new Html(text);
}

function markupOf(value: Fragment): string {
  if (value === null || value === undefined || value === false) return '';
  if (value instanceof Html) return value.text;
  if (typeof value === 'object') return value.map(markupOf).join('');
  return escapeHtml(String(value));
}

/**
 * Controls, and what turns the direction of the text behind it: names from outside could write over a page. And what has no width: two names would
 * look like one to an administrator. Not the joiners (U+200C, U+200D), which some scripts are written with.
 */
const UNSEEN = /[\p{Cc}\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\u3164\ufeff\uffa0]/gu;

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** For text and for values in quotes. */
export function escapeHtml(text: string): string {
  return text.toWellFormed().replaceAll(UNSEEN, '\ufffd').replaceAll(/[&<>"']/g, (char) => ENTITIES[char]!);
}
