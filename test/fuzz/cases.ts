/** A seed and a number → one request: its cell of the table, its mutations, its bytes. */
import { formOf, PYTHON_BOUNDARY, REQWEST_BOUNDARY } from '../protocol/forms.ts';
import { entry, rawZip } from '../media/raw-zip.ts';
import { validFile, validValue, validZip, type BodySource } from './bodies.ts';
import { METHODS, MEDIA_METHODS, STAGES, SYNC_STEPS, textOf, type Draft, type Envelope, type Method, type Mutation, type Stage } from './draft.ts';
import { FORM_MUTATIONS, HEADER_MUTATIONS, usualParts } from './envelope-mutations.ts';
import { HTTP_MUTATIONS } from './http-mutations.ts';
import { JSON_MUTATIONS, TEXT_MUTATIONS } from './json-mutations.ts';
import { GZIP_MUTATIONS, packedAsUsual, ZSTD_MUTATIONS } from './packing-mutations.ts';
import { Random } from './random.ts';
import { STATES, type State } from './states.ts';
import type { WireRequest } from './wire.ts';
import { FILE_MUTATIONS, ZIP_MUTATIONS } from './zip-mutations.ts';

const ALL: Record<Stage, Mutation[]> = {
  json: JSON_MUTATIONS,
  text: TEXT_MUTATIONS,
  zip: ZIP_MUTATIONS,
  file: FILE_MUTATIONS,
  zstd: ZSTD_MUTATIONS,
  gzip: GZIP_MUTATIONS,
  header: HEADER_MUTATIONS,
  form: FORM_MUTATIONS,
  http: HTTP_MUTATIONS,
};

/** One block has each method in both envelopes once, in one state. */
export const BLOCK_SIZE = METHODS.length * 2;

export interface Chosen {
  mutation: Mutation;
  /** Of its choices. */
  seed: number;
}

export interface FuzzCase {
  readonly seed: number;
  readonly index: number;
  readonly method: Method;
  readonly state: State;
  readonly envelope: Envelope;
  readonly chosen: readonly Chosen[];
}

export interface BuiltRequest extends WireRequest {
  copies: number;
  draft: Draft;
}

export function stateOfBlock(seed: number, block: number): State {
  const round = Math.floor(block / STATES.length);
  const states = new Random(seed, round, 3).shuffled(STATES);
  const state = states[block % STATES.length]!;
  // a block of it waits for seconds
  return state === 'expired' && round % 4 !== 0 ? 'no sync' : state;
}

export function caseAt(seed: number, index: number): FuzzCase {
  const block = Math.floor(index / BLOCK_SIZE);
  const place = new Random(seed, block, 1).shuffled([...Array(BLOCK_SIZE).keys()])[index % BLOCK_SIZE]!;
  const method = METHODS[place >> 1]!;
  const envelope: Envelope = (place & 1) === 0 ? 'header' : 'form';
  const random = new Random(seed, index, 2);
  const count = random.one([0, 1, 1, 1, 1, 1, 1, 2, 2, 3]);
  const chosen = Array.from({ length: count }, () => ({ mutation: oneMutation(method, envelope, random), seed: random.next() }));
  chosen.sort((a, b) => STAGES.indexOf(a.mutation.stage) - STAGES.indexOf(b.mutation.stage));
  return { seed, index, method, state: stateOfBlock(seed, block), envelope, chosen };
}

function oneMutation(method: Method, envelope: Envelope, random: Random): Mutation {
  for (;;) {
    const mutation = random.one(ALL[stageFor(method, envelope, random.below(100))].filter(({ only }) => only?.(method, envelope) ?? true));
    if (mutation.rare !== true || random.chance(10)) return mutation;
  }
}

/** What a person would try most, most often. */
function stageFor(method: Method, envelope: Envelope, percent: number): Stage {
  if (percent >= 88) return 'http';
  if (percent >= 75) return envelope;
  if (percent >= 60) return envelope === 'header' ? 'zstd' : 'gzip';
  if (method === 'upload') return 'file';
  if (method === 'uploadChanges') return percent < 45 ? 'zip' : 'file';
  return percent < 42 ? 'json' : 'text';
}

/** The method may not succeed. Only the last mutation says so, and only alone in its stage: two may undo each other. */
export function mustBeRefused({ method, envelope, chosen }: FuzzCase): boolean {
  const last = chosen.at(-1)?.mutation;
  if (last?.refused !== true || chosen.filter(({ mutation }) => mutation.stage === last.stage).length > 1) return false;
  // a form tells the client's version beside the data, which is not looked at then
  const ofBody = !['header', 'form', 'http'].includes(last.stage);
  return !(method === 'begin' && envelope === 'form' && ofBody);
}

export function isOutside({ chosen }: FuzzCase): boolean {
  return chosen.some(({ mutation }) => mutation.outside === true);
}

export interface Sender extends BodySource {
  key: string;
  sessionKey: string;
  foreign: { key: string; sessionKey: string };
}

export function build(one: FuzzCase, sender: Sender): BuiltRequest {
  const { method, envelope } = one;
  const usual = new Random(one.seed, one.index, 4);
  const draft: Draft = {
    method,
    envelope,
    foreign: sender.foreign,
    value: undefined,
    raws: [],
    zip: undefined,
    plain: Buffer.alloc(0),
    packed: Buffer.alloc(0),
    keys: { v: 11, k: method === 'hostKey' ? '' : sender.key, c: `fuzz ${one.seed}:${one.index}`, s: sender.sessionKey },
    syncHeader: (keys) => JSON.stringify(keys),
    gzipFlag: '0',
    parts: [],
    boundary: usual.one([REQWEST_BOUNDARY, PYTHON_BOUNDARY]),
    contentType: undefined,
    lateForm: [],
    body: Buffer.alloc(0),
    verb: 'POST',
    path: `/${(MEDIA_METHODS as readonly string[]).includes(method) ? 'msync' : 'sync'}/${method}`,
    headers: [],
    framing: usual.chance(80) ? 'chunked' : 'length',
    pieceBytes: 64 * 1024,
    rewrite: undefined,
    cutAfter: undefined,
    malformed: false,
    copies: 1,
  };
  const apply = (stage: Stage): void => {
    for (const { mutation, seed } of one.chosen) if (mutation.stage === stage) mutation.change(draft, new Random(seed));
  };

  if (method === 'upload') {
    draft.plain = Buffer.from(validFile(sender, usual));
  } else if (method === 'uploadChanges') {
    draft.zip = validZip(usual);
    apply('zip');
    const { meta, entries, options } = draft.zip;
    draft.plain = rawZip(meta === null ? entries : [...entries, entry('_meta', meta)], options);
  } else {
    draft.value = structuredClone(validValue(method, sender, usual));
    apply('json');
    draft.plain = textOf(draft);
    apply('text');
  }
  apply('file');
  packedAsUsual(draft, usual);
  apply('zstd');
  apply('gzip');
  if (envelope === 'header') {
    apply('header');
    draft.body = draft.packed;
    const text = draft.syncHeader(draft.keys);
    if (text !== null) draft.headers.push(['anki-sync', text]);
    draft.headers.push(['content-type', 'application/octet-stream']);
  } else {
    draft.parts = usualParts(draft, usual, method === 'start' || (SYNC_STEPS as readonly string[]).includes(method));
    apply('form');
    draft.body = draft.lateForm.reduce((body, change) => change(body), formOf(draft.boundary, draft.parts));
    draft.headers.push(['content-type', draft.contentType ?? `multipart/form-data; boundary=${draft.boundary}`], ['user-agent', String(draft.keys.c)]);
  }
  draft.headers.unshift(['host', 'localhost'], ['accept', '*/*']);
  apply('http');
  return { ...requestOf(draft), copies: draft.copies, draft };
}

function requestOf(draft: Draft): WireRequest {
  const { verb, path, framing, body } = draft;
  const headers = [...draft.headers];
  if (framing === 'length') headers.push(['content-length', String(body.length)]);
  if (framing === 'chunked') headers.push(['transfer-encoding', 'chunked']);
  // a byte a character: what is beyond does not fit into a head
  const head = Buffer.from(`${verb} ${path} HTTP/1.1\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`, 'latin1');
  const pieces: Buffer[] = [head];
  if (framing === 'length') pieces.push(body);
  if (framing === 'chunked') {
    for (let at = 0; at < body.length; at += draft.pieceBytes) {
      const piece = body.subarray(at, at + draft.pieceBytes);
      pieces.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'));
    }
    pieces.push(Buffer.from('0\r\n\r\n'));
  }
  const whole = Buffer.concat(pieces);
  const bytes = draft.rewrite?.(whole, head.length) ?? whole;
  const cutAfter = draft.cutAfter === undefined ? undefined : draft.cutAfter < 0 ? bytes.length - 1 : Math.min(draft.cutAfter, bytes.length - 1);
  return { bytes, method: verb, malformed: draft.malformed, ...(cutAfter === undefined ? {} : { cutAfter }) };
}

export function caseText({ seed, index, method, state, envelope, chosen }: FuzzCase): string {
  const mutations = chosen.map(({ mutation }) => `${mutation.stage}: ${mutation.name}`);
  return `${seed}:${index} ${method} as ${envelope} in state "${state}", ${mutations.length === 0 ? 'as it should be' : mutations.join(' + ')}`;
}
