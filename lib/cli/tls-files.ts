/** Certificate and key of the standalone server: read, checked, and read again when they change. */
import { X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { UsageError } from './usage-error.ts';

export interface TlsFiles {
  certFile: string;
  keyFile: string;
  passphrase?: string | undefined;
}

export interface Credentials {
  cert: Buffer;
  key: Buffer;
  passphrase?: string;
}

/** What of an https server takes new credentials; connections that are open go on with the old ones. */
export interface SecureServer {
  setSecureContext(credentials: Credentials): void;
}

/** How often it is looked whether the files are others. A renewal replaces links, files, or what a folder is linked to; all of that shows here. */
const LOOK_MILLIS = 2_000;

/** @throws UsageError when the certificate or the key cannot be read or used */
export async function readCredentials({ certFile, keyFile, passphrase }: TlsFiles): Promise<Credentials> {
  const read = (file: string): Promise<Buffer> =>
    readFile(file).catch((error: NodeJS.ErrnoException) => {
      throw new UsageError(`${file} cannot be read (${error.code})`);
    });
  const pair = { cert: await read(certFile), key: await read(keyFile), ...(passphrase === undefined ? {} : { passphrase }) };
  try {
    // loaded where it is needed: most servers are behind a proxy
    process.getBuiltinModule('node:tls').createSecureContext(pair);
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    if (/bad decrypt|interrupted or cancelled/i.test(message) || code === 'ERR_OSSL_BAD_DECRYPT') {
      throw new UsageError(`${keyFile} is encrypted: ${passphrase === undefined ? 'set TLS_KEY_PASSPHRASE_FILE' : 'the passphrase is another one'}`);
    }
    throw new UsageError(`${certFile} and ${keyFile} are not a certificate and its key in PEM form (${message})`);
  }
  return pair;
}

/** Of the first certificate, which is the server's own. */
export function certificateEnd(cert: Buffer): Date {
  return new X509Certificate(cert).validToDate;
}

export class WatchedTls {
  readonly #files: TlsFiles;
  readonly #server: SecureServer;
  readonly #say: (line: string) => void;
  readonly #timer: NodeJS.Timeout;
  #stamp: string;
  #credentials: Credentials;
  #looking: Promise<void> = Promise.resolve();
  #toldOf: string | undefined;

  private constructor(files: TlsFiles, server: SecureServer, credentials: Credentials, stamp: string, say: (line: string) => void) {
    this.#files = files;
    this.#server = server;
    this.#credentials = credentials;
    this.#stamp = stamp;
    this.#say = say;
    this.#timer = setInterval(() => void this.look(), LOOK_MILLIS).unref();
  }

  /** `credentials` are what the server began with. */
  static async start(files: TlsFiles, server: SecureServer, credentials: Credentials, say: (line: string) => void): Promise<WatchedTls> {
    return new WatchedTls(files, server, credentials, await stampOf(files), say);
  }

  get endsAt(): Date {
    return certificateEnd(this.#credentials.cert);
  }

  /**
   * Takes the files if they are others than before; with `now`, reads them in any case, and tells what came of it. A pair that cannot be used
   * is told once, and the server keeps the one that it has: a renewal writes one file after the other.
   */
  look(now = false): Promise<void> {
    this.#looking = this.#looking.then(() => this.#look(now));
    return this.#looking;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #look(now: boolean): Promise<void> {
    const stamp = await stampOf(this.#files);
    if (stamp === this.#stamp && !now) return;
    try {
      const credentials = await readCredentials(this.#files);
      // read while it was being written: the next look finds it whole
      if (stamp !== (await stampOf(this.#files)) && !now) return;
      this.#stamp = stamp;
      this.#toldOf = undefined;
      const isOther = !credentials.cert.equals(this.#credentials.cert) || !credentials.key.equals(this.#credentials.key);
      if (isOther) {
        this.#server.setSecureContext(credentials);
        this.#credentials = credentials;
      }
      if (isOther || now) this.#say(`the certificate ${isOther ? 'was replaced' : 'is the same as before'}: it is valid until ${dayOf(this.endsAt)}`);
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#toldOf || now) this.#say(`the new certificate cannot be used, and the old one stays: ${message}`);
      this.#toldOf = message;
    }
  }
}

export function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}

async function stampOf({ certFile, keyFile }: TlsFiles): Promise<string> {
  const one = (file: string): Promise<string> => stat(file, { bigint: true }).then(({ ino, size, mtimeNs }) => `${ino}.${size}.${mtimeNs}`, () => 'gone');
  return `${await one(certFile)} ${await one(keyFile)}`;
}
