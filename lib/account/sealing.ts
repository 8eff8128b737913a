import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const IV_BYTES = 12;
const TAG_BYTES = 16;

/** For what a browser keeps for us, and must neither read nor change. */
export interface Sealing {
  /** @param bound what else has to be the same when it is opened */
  seal(value: unknown, bound: string): string;
  /** Undefined for anything that was not sealed here with the same `bound`. */
  open(sealed: string, bound: string): unknown;
}

/** With a key that ends with the process: what is on the way then has to begin again. */
export function newSealing(): Sealing {
  const key = randomBytes(32);
  return {
    seal(value, bound) {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(bound));
      const text = Buffer.concat([cipher.update(JSON.stringify(value), 'utf8'), cipher.final()]);
      return Buffer.concat([iv, cipher.getAuthTag(), text]).toString('base64url');
    },
    open(sealed, bound) {
      const bytes = Buffer.from(sealed, 'base64url');
      if (bytes.length <= IV_BYTES + TAG_BYTES) return undefined;
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, IV_BYTES)).setAAD(Buffer.from(bound));
        decipher.setAuthTag(bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
        return JSON.parse(Buffer.concat([decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES)), decipher.final()]).toString()) as unknown;
      } catch {
        return undefined;
      }
    },
  };
}
