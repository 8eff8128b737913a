/** A request before it is bytes, from the inside out; each stage has mutations that change it. */
import type { FormPart } from '../protocol/forms.ts';
import type { RawEntry, RawZipOptions } from '../media/raw-zip.ts';
import type { Random } from './random.ts';

export type Envelope = 'header' | 'form';

export const SYNC_STEPS = ['applyGraves', 'applyChanges', 'chunk', 'applyChunk', 'sanityCheck2', 'finish'] as const;
export const SYNC_METHODS = ['hostKey', 'meta', 'start', ...SYNC_STEPS, 'abort', 'upload', 'download'] as const;
export const MEDIA_METHODS = ['begin', 'mediaChanges', 'uploadChanges', 'downloadFiles', 'mediaSanity'] as const;
export const METHODS = [...SYNC_METHODS, ...MEDIA_METHODS] as const;
export type Method = (typeof METHODS)[number];

/** In the order in which they are applied. */
export const STAGES = ['json', 'text', 'zip', 'file', 'zstd', 'gzip', 'header', 'form', 'http'] as const;
export type Stage = (typeof STAGES)[number];

export interface ZipPlan {
  /** Null: no such entry. */
  meta: string | Buffer | null;
  entries: RawEntry[];
  options: RawZipOptions;
}

export interface Draft {
  readonly method: Method;
  readonly envelope: Envelope;
  /** Keys of this user and of others, to be mixed up. */
  readonly foreign: { key: string; sessionKey: string };
  /** Of JSON methods; `raws` are texts that stand in it by a placeholder (see `raw`). */
  value: unknown;
  raws: string[];
  zip: ZipPlan | undefined;
  /** Unpacked. */
  plain: Buffer;
  packed: Buffer;
  /** The fields of the header, or of the form. */
  keys: { v: unknown; k: unknown; c: unknown; s: unknown };
  /** How the header is made of `keys`; null leaves it out. */
  syncHeader: (keys: Draft['keys']) => string | null;
  /** `c` of a form. */
  gzipFlag: string;
  parts: FormPart[];
  boundary: string;
  contentType: string | undefined;
  /** What is changed once the form is bytes. */
  lateForm: ((body: Buffer) => Buffer)[];
  body: Buffer;
  verb: string;
  path: string;
  headers: [name: string, value: string][];
  framing: 'chunked' | 'length' | 'none';
  /** Sizes of the pieces of a chunked body. */
  pieceBytes: number;
  /** Changes the bytes of the request, with its framing, at last. */
  rewrite: ((request: Buffer, headBytes: number) => Buffer) | undefined;
  cutAfter: number | undefined;
  malformed: boolean;
  /** Sent so often, at the same time. */
  copies: number;
}

export interface Mutation {
  stage: Stage;
  /** What it is, in a few words. */
  name: string;
  change(draft: Draft, random: Random): void;
  /** Whatever else is done to it: the method must not succeed. */
  refused?: true;
  /** The request does not reach the method with a valid key any more. */
  outside?: true;
  /** Costs the server as much as many others. */
  rare?: true;
  /** Method and envelope that it makes sense for. Default: all whose requests pass the stage. */
  only?(method: Method, envelope: Envelope): boolean;
}

export function stageMutations(stage: Stage, list: Record<string, Mutation['change']>, more: Partial<Mutation> = {}): Mutation[] {
  return Object.entries(list).map(([name, change]) => ({ stage, name, change, ...more }));
}

/** A text that `JSON.stringify` would not write: put into the value, it becomes part of the body as it is. */
export function raw(draft: Draft, text: string): string {
  draft.raws.push(text);
  return `\u0001raw${draft.raws.length - 1}\u0001`;
}

export function textOf(draft: Draft): Buffer {
  const text = JSON.stringify(draft.value) ?? 'undefined';
  if (draft.raws.length === 0) return Buffer.from(text);
  return Buffer.from(text.replaceAll(/"\\u0001raw(\d+)\\u0001"/g, (_all, index: string) => draft.raws[Number(index)]!));
}
