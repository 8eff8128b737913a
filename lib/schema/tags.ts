/** Names of tags as Anki registers them (rslib: `tags/register.rs`). */
import { trimEnds } from './trim-ends.ts';
import { unicaseKey } from './unicase.ts';

/** ASCII control characters, and the two that separate tags. */
const INVALID_IN_TAGS = /[\0-\x1f\x7f \u3000]/g;

/**
 * Which names have to be added so that all incoming tags exist, in the form they take: each level NFC, without control
 * characters and spaces, "blank" where nothing is left; in the case of the nearest parent that exists already.
 * A tag that exists in any case stays as it is. Parents are not added by themselves.
 */
export function registerTags(incoming: readonly string[], existing: Iterable<string>): string[] {
  const known = new Set<string>();
  const parents = new TagTree();
  for (const name of existing) {
    known.add(unicaseKey(name));
    parents.add(name);
  }
  const added = new Map<string, string>();
  for (const tag of incoming) {
    const normalized = normalizeTag(tag);
    const key = unicaseKey(normalized);
    if (known.has(key) || added.has(key)) continue;
    const name = inCaseOfParent(normalized, parents.nearestParent(normalized));
    if (known.has(unicaseKey(name))) continue;
    added.set(unicaseKey(name), name);
    parents.add(name);
  }
  return [...added.values()];
}

function normalizeTag(tag: string): string {
  return tag.split('::').map(normalizeLevel).join('::');
}

function normalizeLevel(level: string): string {
  return trimEnds(level.normalize('NFC').replace(INVALID_IN_TAGS, '')) || 'blank';
}

/**
 * Anki counts levels from the left here, but looks for parents from the right: `a:::b` has the parent `a:`, and the levels
 * `a` and `:b`. With the parent `A:` it becomes `A::::b`.
 */
function inCaseOfParent(tag: string, parent: string | undefined): string {
  if (parent === undefined) return tag;
  return [parent, ...tag.split('::').slice(parent.split('::').length)].join('::');
}

interface TagNode {
  children: Map<string, TagNode>;
  name?: string;
}

/** Finds the nearest parent in one pass over a tag, however many levels it has. */
class TagTree {
  #root: TagNode = { children: new Map() };

  add(name: string): void {
    let node = this.#root;
    for (const level of levelsFromRight(unicaseKey(name))) {
      let child = node.children.get(level);
      if (!child) node.children.set(level, (child = { children: new Map() }));
      node = child;
    }
    node.name = name;
  }

  nearestParent(tag: string): string | undefined {
    let nearest: string | undefined;
    let node: TagNode | undefined = this.#root;
    for (const level of levelsFromRight(unicaseKey(tag)).slice(0, -1)) {
      node = node.children.get(level);
      if (!node) break;
      nearest = node.name ?? nearest;
    }
    return nearest;
  }
}

/** Of three colons the last two separate. */
function levelsFromRight(key: string): string[] {
  const levels: string[] = [];
  let end = key.length;
  while (end >= 2) {
    const cut = key.lastIndexOf('::', end - 2);
    if (cut < 0) break;
    levels.push(key.slice(cut + 2, end));
    end = cut;
  }
  levels.push(key.slice(0, end));
  return levels.reverse();
}
