/**
 * The text of a field as it is sorted and compared: tags gone, names of media files kept, entities decoded
 * (`strip_html_preserving_media_filenames` in rslib's `text.rs`).
 *
 * rslib does this with two regular expressions on an engine without backtracking. In JavaScript they would take quadratic
 * time and worse on a hostile field, so they are walked by hand here, with the same preferences and thus the same matches.
 * Every search either moves forward or looks up a sorted list, so a field of n characters takes at most n log n steps.
 */
import { decodeEntities } from './html-entities.ts';

export function stripHtmlKeepingMediaNames(html: string): string {
  return decodeEntities(stripTags(keepMediaNames(html)));
}

/**
 * Removes `<!-- … -->`, `<style…>…</style>`, `<script…>…</script>` and any other `<…>`, in this order of preference at each
 * `<`: a comment that is never closed still loses its text up to the next `>`.
 */
function stripTags(text: string): string {
  const nextCommentEnd = ahead((from) => text.indexOf('-->', from));
  const nextStyleEnd = ahead((from) => search(/<\/style>/giu, text, from));
  const nextScriptEnd = ahead((from) => search(/<\/script>/giu, text, from));
  const opening = /<(?:(?<comment>!--)|(?<style>style)|(?<script>script))/iuy;

  let kept = '';
  let position = 0;
  for (;;) {
    const start = text.indexOf('<', position);
    const tagEnd = start < 0 ? -1 : text.indexOf('>', start);
    if (tagEnd < 0) return kept + text.slice(position);
    kept += text.slice(position, start);
    position = tagEnd + 1;

    opening.lastIndex = start;
    const { comment, style, script } = opening.exec(text)?.groups ?? {};
    if (comment !== undefined) {
      const end = nextCommentEnd(start + '<!--'.length);
      if (end >= 0) position = end + '-->'.length;
    } else if (style !== undefined) {
      const end = nextStyleEnd(tagEnd + 1);
      if (end >= 0) position = end + '</style>'.length;
    } else if (script !== undefined) {
      const end = nextScriptEnd(tagEnd + 1);
      if (end >= 0) position = end + '</script>'.length;
    }
  }
}

/** Remembers where the next find is, so that questions with a growing `from` search every stretch of text once only. */
function ahead(find: (from: number) => number): (from: number) => number {
  const NOT_SEARCHED = -2;
  let found = NOT_SEARCHED;
  return (from) => {
    if (found !== -1 && found < from) found = find(from);
    return found;
  };
}

function search(pattern: RegExp, text: string, from: number): number {
  pattern.lastIndex = from;
  return pattern.exec(text)?.index ?? -1;
}

const MEDIA_TAG = /<(?:img|audio|video|object|source)(?![\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}])/giu;
const MEDIA_ATTRIBUTE = /(?<![\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}])(?:src|data)=/giu;

/** Puts ` name ` in the place of each tag that has a media file: `<img src="a.jpg">`. */
function keepMediaNames(text: string): string {
  const tags = [...text.matchAll(MEDIA_TAG)];
  if (tags.length === 0) return text;
  const findName = mediaNames(text);
  let kept = '';
  let position = 0;
  for (const tag of tags) {
    if (tag.index < position) continue;
    const media = findName(tag.index + tag[0].length);
    if (!media) continue;
    kept += `${text.slice(position, tag.index)} ${media.name} `;
    position = media.end;
  }
  return kept + text.slice(position);
}

interface MediaName {
  name: string;
  /** Behind the tag. */
  end: number;
}

/**
 * What rslib's expression wants between the tag's name and its attribute is any number of characters other than `>`, or
 * quoted strings, which may hold a `>`. It prefers the earliest attribute that can be reached by plain characters, thus
 * within the stretch up to the next `>`; only then it tries to read a quote as the beginning of a string, the last quotes
 * first. Of those only the last `"` and the last `'` of a stretch lead anywhere new: the others end within it.
 */
function mediaNames(text: string): (from: number) => MediaName | undefined {
  const ends = positions(text, '>');
  const doubleQuotes = positions(text, '"');
  const singleQuotes = positions(text, "'");
  const attributes = [...text.matchAll(MEDIA_ATTRIBUTE)].map((match) => match.index);
  /** End of a stretch → the position from which on nothing in it leads to a match. True for all tags, so it is kept. */
  const deadFrom = new Map<number, number>();

  return (from) => {
    const starts = [from];
    for (let start = starts.pop(); start !== undefined; start = starts.pop()) {
      const end = firstFrom(ends, start);
      if (end === undefined) continue;
      const dead = deadFrom.get(end) ?? end;
      if (start >= dead) continue;

      const attribute = firstFrom(attributes, start);
      if (attribute !== undefined && attribute < dead) {
        const value = text.indexOf('=', attribute) + 1;
        if (value < end) return nameAt(value, end);
      }
      deadFrom.set(end, start);
      const lastQuotes = [doubleQuotes, singleQuotes].flatMap((quotes) => {
        const opening = lastBefore(quotes, dead);
        if (opening === undefined || opening < start) return [];
        const closing = firstFrom(quotes, opening + 1);
        return closing === undefined ? [] : [{ opening, closing }];
      });
      lastQuotes.sort((a, b) => a.opening - b.opening);
      for (const { closing } of lastQuotes) starts.push(closing + 1);
    }
    return undefined;
  };

  /** `value` stands behind `src=`, and `end` at the next `>` behind it: there is always a name. */
  function nameAt(value: number, end: number): MediaName {
    for (const [quote, quotes] of [['"', doubleQuotes], ["'", singleQuotes]] as const) {
      if (text[value] !== quote) continue;
      const closing = firstFrom(quotes, value + 1);
      const tagEnd = closing === undefined ? undefined : firstFrom(ends, closing);
      if (closing !== undefined && closing > value + 1 && tagEnd !== undefined) {
        return { name: text.slice(value + 1, closing), end: tagEnd + 1 };
      }
    }
    // unquoted, or a quote that is never closed: at least one character, even if it is a space, then up to a space or the end
    const rest = text.slice(value, end);
    const space = rest.indexOf(' ', 1);
    return { name: space < 0 ? rest : rest.slice(0, space), end: end + 1 };
  }
}

function positions(text: string, char: string): number[] {
  const found: number[] = [];
  for (let index = text.indexOf(char); index >= 0; index = text.indexOf(char, index + 1)) found.push(index);
  return found;
}

/** The first of the sorted positions that is at or behind `from`. */
function firstFrom(sorted: number[], from: number): number | undefined {
  return sorted[countBelow(sorted, from)];
}

/** The last of the sorted positions that is before `limit`. */
function lastBefore(sorted: number[], limit: number): number | undefined {
  return sorted[countBelow(sorted, limit) - 1];
}

function countBelow(sorted: number[], limit: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
