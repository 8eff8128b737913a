/** The file is not what Anki would accept. The reason is for the log: it names places, never what stands there. */
export class CorruptFile extends Error {
  constructor(reason: string, options?: ErrorOptions) {
    super(reason, options);
    this.name = 'CorruptFile';
  }
}

/** What to log when the file is to blame, or undefined when it is not. SQLite's own words may hold names of the file. */
export function faultOfFile(error: unknown): string | undefined {
  if (error instanceof CorruptFile) return error.message;
  const code = (error as { code?: unknown }).code;
  if (typeof code === 'string' && /^SQLITE_(ERROR|CORRUPT|NOTADB|MISMATCH|CONSTRAINT|TOOBIG|RANGE|SCHEMA|IOERR_SHORT_READ)/.test(code)) {
    return `SQLite answers ${code}`;
  }
  return undefined;
}
