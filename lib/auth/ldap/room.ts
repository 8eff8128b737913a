import { SyncError } from '../../errors.ts';
import { Connector, type DirectoryConnection } from './connection.ts';
import { RESULT, type DirectoryRefusal } from './errors.ts';
import { telling, type LdapLog, type Tell } from './log.ts';
import { Servers } from './servers.ts';
import { ServiceAccount } from './service-account.ts';
import type { LdapSettings } from './settings.ts';

/** Directories count connections, too. */
const CONNECTIONS_AT_ONCE = 8;
const MAX_WAITING = 64;

/** What both ways to sign in work with. */
export class Room {
  readonly settings: LdapSettings;
  readonly tell: Tell;
  readonly service: ServiceAccount | undefined;
  readonly #connector: Connector;
  readonly #servers: Servers;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;

  constructor(settings: LdapSettings, log: LdapLog | undefined) {
    this.settings = settings;
    this.tell = telling(log);
    this.#connector = new Connector(settings);
    this.#servers = new Servers(settings.servers, this.tell);
    this.service = settings.service && new ServiceAccount({ ...settings.service, connector: this.#connector, servers: this.#servers });
  }

  /** A connection of one's own, on which nobody else is signed in later. @throws SyncError BUSY; DirectoryUnreachable, and what `work` throws */
  async withConnection<T>(work: (connection: DirectoryConnection) => Promise<T>): Promise<T> {
    await this.#enter();
    try {
      return await this.#servers.first(async (server) => {
        const connection = await this.#connector.connect(server);
        try {
          return await work(connection);
        } finally {
          void connection.close();
        }
      });
    } finally {
      this.#leave();
    }
  }

  async bindAlone(dn: string, password: string): Promise<void> {
    await this.withConnection((connection) => connection.bind(dn, password));
  }

  /** A wrong password is in the log of requests already. No typed name: people type passwords where names belong. */
  tellRefusal(error: DirectoryRefusal, name?: string): void {
    if (error.code !== RESULT.invalidCredentials) this.tell('warn', `the directory refuses this person: ${error.message}`, name);
  }

  async close(): Promise<void> {
    await this.service?.close();
    await this.#connector.close();
  }

  async #enter(): Promise<void> {
    if (this.#inside < CONNECTIONS_AT_ONCE) {
      this.#inside++;
      return;
    }
    if (this.#waiting.length >= MAX_WAITING) throw new SyncError('BUSY', 'too many logins at once');
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#inside--;
    else next();
  }
}
