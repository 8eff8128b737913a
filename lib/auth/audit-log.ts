import type { UsersDatabase } from './users-database.ts';
import type { AuditRow } from './users-rows.ts';

const LOOK_EVERY_MILLIS = 1000;

/**
 * Tells what happened to users and keys, whoever did it: this server, or the command line in another process. Changes and their words are
 * written in one transaction (see users-writes.ts), and the words stay until a server has told them: those of a time without a server are
 * told at its start. After a crash, the last ones may be told twice.
 */
export class AuditLog {
  readonly #database: UsersDatabase;
  readonly #tell: (row: AuditRow) => void;
  readonly #timer: NodeJS.Timeout;
  #seenVersion = -1;
  #toldUpTo = 0;
  #forgetting: Promise<void> = Promise.resolve();

  constructor(database: UsersDatabase, tell: (row: AuditRow) => void) {
    this.#database = database;
    this.#tell = tell;
    this.#timer = setInterval(() => this.look(), LOOK_EVERY_MILLIS).unref();
    database.onChange(() => this.look());
    this.look();
  }

  /** Tells what is new. Costs next to nothing where nobody has written since. Never throws. */
  look(): void {
    try {
      const version = this.#database.dataVersion();
      if (version === this.#seenVersion) return;
      const rows = this.#database.audit().filter(({ number }) => number > this.#toldUpTo);
      this.#seenVersion = version;
      if (rows.length === 0) return;
      this.#toldUpTo = rows.at(-1)!.number;
      for (const row of rows) this.#tell(row);
      this.#forget(this.#toldUpTo);
    } catch {
      // what cannot be read now is told later
    }
  }

  /** Tells the last. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.look();
    await this.#forgetting;
  }

  #forget(upTo: number): void {
    this.#forgetting = this.#forgetting.then(() => this.#database.write('forgetAudit', upTo)).catch(() => {});
  }
}
