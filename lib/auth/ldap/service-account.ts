import type { Connector, DirectoryConnection, DirectoryEntry, Search } from './connection.ts';
import { DirectoryRefusal, DirectoryUnreachable, ServiceAccountRefused } from './errors.ts';
import type { Servers } from './servers.ts';

/** Back to the first server, and no quarrel with a server's or a firewall's own limit. */
const IDLE_MILLIS = 60_000;
/** A wrong password of the service account must not lock it by being tried at every login. */
const REFUSED_MILLIS = 10_000;

export interface ServiceAccountOptions {
  dn: string;
  password: string;
  connector: Connector;
  servers: Servers;
}

/** The account that looks people up, on one connection that all logins share. It opens when used, and again when it was lost. */
export class ServiceAccount {
  readonly #options: ServiceAccountOptions;
  #connecting: Promise<DirectoryConnection> | undefined;
  #idle: NodeJS.Timeout | undefined;
  #refusal: { error: ServiceAccountRefused; untilMillis: number } | undefined;
  #searching = 0;

  constructor(options: ServiceAccountOptions) {
    this.#options = options;
  }

  /** @throws DirectoryUnreachable, DirectoryRefusal, ServiceAccountRefused */
  async search(search: Search): Promise<DirectoryEntry[]> {
    this.#searching++;
    clearTimeout(this.#idle);
    try {
      const known = this.#connecting;
      const connection = await this.#connection();
      try {
        return await connection.search(search);
      } catch (error) {
        if (!(error instanceof DirectoryUnreachable)) throw error;
        this.#options.servers.failed(connection.server, error);
        // a connection that lay idle may have been dropped by anything on the way: that says nothing about the directory
        if (known === undefined) throw error;
        return await (await this.#connection()).search(search);
      }
    } finally {
      if (--this.#searching === 0) this.#idle = setTimeout(() => void this.close(), IDLE_MILLIS).unref();
    }
  }

  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const connecting = this.#connecting;
    this.#connecting = undefined;
    await (await connecting?.catch(() => undefined))?.close();
  }

  async #connection(): Promise<DirectoryConnection> {
    const current = this.#connecting;
    if (current !== undefined) {
      const connection = await current;
      if (connection.isOpen) return connection;
      if (this.#connecting === current) this.#connecting = undefined;
    }
    this.#connecting ??= this.#connect();
    const connecting = this.#connecting;
    // what failed is tried again by the next one who asks
    connecting.catch(() => {
      if (this.#connecting === connecting) this.#connecting = undefined;
    });
    return connecting;
  }

  async #connect(): Promise<DirectoryConnection> {
    if (this.#refusal !== undefined && performance.now() < this.#refusal.untilMillis) throw this.#refusal.error;
    const { connector, servers, dn, password } = this.#options;
    return servers.first(async (server) => {
      const connection = await connector.connect(server);
      try {
        await connection.bind(dn, password);
      } catch (error) {
        void connection.close();
        if (!(error instanceof DirectoryRefusal)) throw error;
        const refused = new ServiceAccountRefused(error.message);
        this.#refusal = { error: refused, untilMillis: performance.now() + REFUSED_MILLIS };
        throw refused;
      }
      this.#refusal = undefined;
      return connection;
    });
  }
}
