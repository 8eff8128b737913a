/**
 * What a conversion to schema 11 cannot keep, and what stops it.
 */

/** The collection cannot be converted: it is damaged, or newer than we can read. The message names table and id, never content. */
export class Schema18Error extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'Schema18Error';
  }
}

export interface Losses {
  /** `what` was lost, `where` names one object of the many it may happen to. */
  add(what: string, where: string): void;
  /** One sentence for each kind of loss, with its first objects and their number. */
  list(): string[];
}

const NAMED_OBJECTS = 3;
/** A hostile file could make up kinds without end. */
const MAX_KINDS = 100;

export function collectLosses(): Losses {
  const kinds = new Map<string, { named: string[]; count: number }>();
  let kindsLeftOut = 0;
  return {
    add(what, where) {
      let kind = kinds.get(what);
      if (kind === undefined) {
        if (kinds.size === MAX_KINDS) {
          kindsLeftOut++;
          return;
        }
        kind = { named: [], count: 0 };
        kinds.set(what, kind);
      }
      kind.count++;
      if (kind.named.length < NAMED_OBJECTS) kind.named.push(where);
    },
    list() {
      const sentences = [...kinds].map(([what, { named, count }]) => {
        const more = count > named.length ? ` and ${count - named.length} more` : '';
        return `${what} (${named.join(', ')}${more})`;
      });
      if (kindsLeftOut > 0) sentences.push(`and ${kindsLeftOut} losses of other kinds`);
      return sentences;
    },
  };
}
