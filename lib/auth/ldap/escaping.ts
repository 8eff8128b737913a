/** Names from outside, put into filters (RFC 4515) and distinguished names (RFC 4514) so that they stay values. */

const NAME = '{name}';

/** In a filter, each `{name}` and `{dn}` becomes the value, escaped. */
export function filterWith(template: string, values: { name?: string; dn?: string }): string {
  return template.replaceAll(/\{(name|dn)\}/g, (placeholder, key: 'name' | 'dn') => {
    const value = values[key];
    return value === undefined ? placeholder : escapeFilterValue(value);
  });
}

/** The filter for any name in place of one: `(uid={name})` becomes `(uid=*)`. */
export function filterForAnyName(template: string): string {
  return template.replaceAll(NAME, '*');
}

export function escapeFilterValue(value: string): string {
  return value.replaceAll(/[\0()*\\]/g, (char) => `\\${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

/**
 * What to bind as. In a distinguished name (`uid={name},ou=people,…`) the name is escaped; other forms (`{name}@example.org`,
 * `EXAMPLE\{name}`) know no escaping, and take the name as it is.
 */
export function bindNameWith(template: string, name: string): string {
  return template.replaceAll(NAME, () => (attributeInDn(template) === undefined ? name : escapeDnValue(name)));
}

/** The attribute that stands before `{name}` in a distinguished name; undefined for other forms. */
export function attributeInDn(template: string): string | undefined {
  return /(?:^|,)\s*([a-z][\w-]*)=\{name\}(?:,|$)/i.exec(template)?.[1];
}

export function escapeDnValue(value: string): string {
  return value
    .replaceAll(/["+,;<=>\\]/g, '\\$&')
    .replaceAll('\0', '\\00')
    .replace(/^[ #]/, '\\$&')
    .replace(/(?<=[^\\]) $/, '\\ ');
}

/** The attributes that a filter compares with `{name}`, in order. */
export function attributesInFilter(template: string): string[] {
  return [...new Set([...template.matchAll(/\(([a-z][\w-]*)=\{name\}/gi)].map((match) => match[1]!))];
}
