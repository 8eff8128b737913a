/**
 * `POST <mount>/sync/doctor` and `/msync/doctor`: tells how a request arrived, for `anki-sync doctor`. It stands where the methods of the
 * protocol do, so that whatever is done to these on their way is done to it. Anybody may ask, without an account: it keeps nothing, reads
 * nothing of any user, and every size, time and number has a limit.
 */
import { randomBytes } from 'node:crypto';
import { finished, Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { addressGroup } from '../auth/address-group.ts';
import { BoundedCounters } from '../auth/bounded-counters.ts';
import { SyncError } from '../errors.ts';
import { headerOf, type HttpRequest, type HttpResponse } from '../http.ts';
import { packageVersion } from '../package-version.ts';
import { openBody } from '../protocol/body-source.ts';
import { packedResponse } from '../protocol/response.ts';

/** Said where the option `doctor` is false. */
export const DOCTOR_OFF = 'examinations are switched off';
/** Of a body, which is counted and dropped. */
export const MAX_DOCTOR_BODY_BYTES = 128 * 1024 ** 2;
/** Of a slow body, of the wait before an answer, and of a slow answer, each. */
export const MAX_DOCTOR_MILLIS = 120_000;
const MAX_FILLER_BYTES = 256 * 1024;
const MAX_AT_ONCE = 24;
const MAX_AT_ONCE_PER_ADDRESS = 8;
const MAX_PER_MINUTE = 300;
const MAX_REMEMBERED = 10_000;
/** Names of headers; whoever asks sent them, or a proxy on the way added them. */
const MAX_NAMES = 100;
/** Pieces of a slow answer are as large as to pass a proxy's smallest buffers. */
const DRIP = Buffer.alloc(16 * 1024, ' ');
const DRIP_MILLIS = 1_000;

/** The answer, as JSON. */
export interface DoctorReport {
  /** Of this report. */
  doctor: 1;
  /** Of the server. */
  version: string;
  timeMillis: number;
  /** `1.1`, where the adapter knows it. */
  httpVersion?: string;
  /** As it arrived, below the mount: `/sync/doctor` where everything is right. */
  path: string;
  /** What the server takes for its own address: its pages show it. */
  url: string;
  /** What it takes for the client's. */
  address?: string;
  /** Names, never values. */
  headers: string[];
  chunked: boolean;
  contentLength?: number;
  receivedBytes: number;
  /** From the head of the request to the end of its body. */
  bodyMillis: number;
  /** As many bytes as were asked for, in base64, that no packer makes smaller. */
  filler?: string;
}

export class DoctorEcho {
  readonly #publicUrl: string | undefined;
  readonly #counters = new BoundedCounters({ points: MAX_PER_MINUTE, windowSecs: 60, maxKeys: MAX_REMEMBERED });
  /** By address. */
  readonly #atOnce = new Map<string, number>();
  #all = 0;
  readonly #closing = new AbortController();

  constructor(options: { publicUrl?: string | undefined }) {
    this.#publicUrl = options.publicUrl;
  }

  /**
   * In the query: `wait`, milliseconds of silence before the answer; `bytes` of filler; `drip`, milliseconds in which a bare, unpacked
   * answer comes piece by piece.
   *
   * Throws BUSY (503), BODY_TOO_LARGE (413), ClientGone.
   */
  async respond(http: HttpRequest): Promise<HttpResponse> {
    const leave = await this.#enter(addressGroup(http.clientAddress).name);
    let response: HttpResponse | undefined;
    try {
      response = await this.#answer(http);
      return response;
    } finally {
      if (response?.body instanceof Readable) finished(response.body, leave);
      else leave();
    }
  }

  /** Nobody waits any longer. */
  close(): void {
    this.#closing.abort();
  }

  async #enter(address: string): Promise<() => void> {
    const fullSecs = await this.#counters.add(address);
    const here = this.#atOnce.get(address) ?? 0;
    if (fullSecs > 0 || this.#all >= MAX_AT_ONCE || here >= MAX_AT_ONCE_PER_ADDRESS) {
      throw new SyncError('BUSY', 'too many examinations', { detail: 'anki-sync doctor, or somebody else, asks too often', retryAfterSecs: fullSecs || 5 });
    }
    this.#all++;
    this.#atOnce.set(address, here + 1);
    return () => {
      this.#all--;
      const left = this.#atOnce.get(address)! - 1;
      if (left === 0) this.#atOnce.delete(address);
      else this.#atOnce.set(address, left);
    };
  }

  async #answer(http: HttpRequest): Promise<HttpResponse> {
    const query = new URLSearchParams(/\?(.*)/.exec(http.url)?.[1] ?? '');
    const report = await this.#report(http);
    const waitMillis = numberIn(query, 'wait', MAX_DOCTOR_MILLIS);
    const closing = this.#closing.signal;
    const signal = AbortSignal.any(http.signal === undefined ? [closing] : [closing, http.signal]);
    if (waitMillis > 0) await sleep(waitMillis, undefined, { signal }).catch(() => {});
    const dripMillis = numberIn(query, 'drip', MAX_DOCTOR_MILLIS);
    if (dripMillis > 0) return { status: 200, headers: DRIP_HEADERS, body: Readable.from(dripping(dripMillis, report, signal), { objectMode: false }) };
    const fillerBytes = numberIn(query, 'bytes', MAX_FILLER_BYTES);
    const whole = fillerBytes === 0 ? report : { ...report, filler: randomBytes(fillerBytes).toString('base64') };
    return packedResponse(11, JSON.stringify(whole));
  }

  async #report(http: HttpRequest): Promise<DoctorReport> {
    const startedMillis = performance.now();
    const length = headerOf(http, 'content-length');
    const contentLength = length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined;
    const body = openBody({ bytes: http.body, contentLength }, MAX_DOCTOR_BODY_BYTES);
    try {
      while ((await body.next()) !== null) {
        if (performance.now() - startedMillis > MAX_DOCTOR_MILLIS + 30_000) throw new SyncError('BUSY', 'the body took too long');
      }
    } catch (error) {
      body.discard();
      throw error;
    }
    const { httpVersion, clientAddress } = http;
    return {
      doctor: 1,
      version: packageVersion(),
      timeMillis: Date.now(),
      ...(httpVersion === undefined ? {} : { httpVersion }),
      path: http.url.split('?', 1)[0]!.slice(0, 500),
      url: this.#publicUrl ?? `${http.scheme ?? 'http'}://${headerOf(http, 'host') ?? 'localhost'}${http.mountPath ?? ''}/`,
      ...(clientAddress === undefined ? {} : { address: clientAddress }),
      headers: Object.keys(http.headers).filter((name) => http.headers[name] !== undefined).slice(0, MAX_NAMES),
      chunked: /\bchunked\b/i.test(headerOf(http, 'transfer-encoding') ?? ''),
      ...(contentLength === undefined ? {} : { contentLength }),
      receivedBytes: body.readBytes,
      bodyMillis: Math.round(performance.now() - startedMillis),
    };
  }
}

const DRIP_HEADERS = { 'content-type': 'application/octet-stream', 'cache-control': 'no-store, no-transform' };

/** JSON may begin with as much space as one likes. */
async function* dripping(millis: number, report: DoctorReport, signal: AbortSignal): AsyncGenerator<Buffer> {
  const pieces = Math.max(2, Math.ceil(millis / DRIP_MILLIS));
  for (let piece = 0; piece < pieces; piece++) {
    yield DRIP;
    await sleep(millis / pieces, undefined, { signal }).catch(() => {});
    if (signal.aborted) break;
  }
  yield Buffer.from(JSON.stringify(report));
}

function numberIn(query: URLSearchParams, name: string, max: number): number {
  const text = query.get(name) ?? '';
  return /^\d{1,9}$/.test(text) ? Math.min(Number(text), max) : 0;
}
