import { connect, isIP, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls, createSecureContext, getCACertificates, type ConnectionOptions, type SecureContext } from 'node:tls';
import type { DN } from 'ldapts';
import { DirectoryUnreachable, directoryError } from './errors.ts';
import { loadLdapLibrary } from './library.ts';
import type { DirectoryServer, LdapSettings } from './settings.ts';

export interface Search {
  base: string;
  scope: 'base' | 'sub' | 'children';
  filter: string;
  attribute: string;
  /** Where more than so many are as good as so many. Without it, a limit of the server's is an error. */
  enough?: number;
}

export interface DirectoryEntry {
  dn: string;
  /** Of the attribute that was asked for. */
  values: string[];
}

/** One connection to one server, which never connects again: what comes after would be unencrypted, or signed in as nobody. */
export interface DirectoryConnection {
  readonly server: DirectoryServer;
  readonly isOpen: boolean;
  /** @throws DirectoryRefusal, DirectoryUnreachable */
  bind(dn: string, password: string): Promise<void>;
  /** @throws DirectoryRefusal, DirectoryUnreachable */
  search(search: Search): Promise<DirectoryEntry[]>;
  close(): Promise<void>;
}

const CLOSING_MILLIS = 500;

/** Opens connections, each encrypted before anything is said on it. */
export class Connector {
  readonly #settings: LdapSettings;
  readonly #open = new Set<DirectoryConnection>();
  #trusted: SecureContext | undefined;

  constructor(settings: LdapSettings) {
    this.#settings = settings;
  }

  /** @throws DirectoryUnreachable, also where encryption fails in any way */
  async connect(server: DirectoryServer): Promise<DirectoryConnection> {
    const { timeoutMillis } = this.#settings;
    const { Client } = await loadLdapLibrary();
    const { encryption, host, port } = server;
    const secured = encryption === 'tls' ? connectTls({ ...this.#tlsOptions(server), port }) : undefined;
    const socket = secured ?? connect({ host, port });
    const timer = setTimeout(() => socket.destroy(new Error(`no connection within ${timeoutMillis} ms`)), timeoutMillis);
    const failed = new Promise<never>((_resolve, reject) => {
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('the connection was closed')));
    });
    failed.catch(() => {});
    try {
      await Promise.race([failed, new Promise<void>((resolve) => socket.once(secured === undefined ? 'connect' : 'secureConnect', () => resolve()))]);
      socket.setKeepAlive(true, 60_000).setNoDelay(true);
      const client = new Client({
        url: `${secured === undefined ? 'ldap' : 'ldaps'}://directory`,
        timeout: timeoutMillis,
        ...(secured === undefined ? { createConnection: once(socket) } : { createSecureConnection: once(secured) }),
      });
      if (encryption === 'startTls') await Promise.race([failed, client.startTLS(this.#tlsOptions(server))]);
      const connection: DirectoryConnection = {
        server,
        get isOpen() {
          return !socket.destroyed && socket.writable;
        },
        bind: (dn, password) =>
          // an object, since a text that is the name of a SASL mechanism would mean that
          answerOf(socket, client.bind({ toString: () => dn } as unknown as DN, password)),
        search: async (search) => {
          const { searchEntries } = await answerOf(socket, client.search(search.base, {
            scope: search.scope,
            filter: search.filter,
            attributes: [search.attribute],
            timeLimit: Math.ceil(timeoutMillis / 1000),
            ...(search.enough === undefined ? {} : { sizeLimit: search.enough }),
          }));
          return searchEntries.map((entry) => ({ dn: entry.dn, values: valuesOf(entry, search.attribute) }));
        },
        close: async () => {
          this.#open.delete(connection);
          const said = client.unbind().catch(() => {});
          await Promise.race([said, sleep(CLOSING_MILLIS, undefined, { ref: false })]);
          socket.destroy();
        },
      };
      this.#open.add(connection);
      socket.once('close', () => this.#open.delete(connection));
      return connection;
    } catch (error) {
      socket.destroy();
      throw new DirectoryUnreachable(directoryError(error).message, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open].map((connection) => connection.close()));
  }

  #tlsOptions({ host }: DirectoryServer): ConnectionOptions {
    this.#trusted ??= createSecureContext({ ca: [...(this.#settings.ca ?? [...getCACertificates('default'), ...getCACertificates('system')])] });
    return {
      host,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      secureContext: this.#trusted,
      rejectUnauthorized: this.#settings.checkCertificates,
    };
  }
}

/** The library connects again by itself when a connection is lost, without StartTLS and without signing in: here it cannot. */
function once<S extends Socket>(socket: S): () => S {
  let given = false;
  return () => {
    if (given) throw new Error('the connection was lost');
    given = true;
    return socket;
  };
}

async function answerOf<T>(socket: Socket, answering: Promise<T>): Promise<T> {
  try {
    return await answering;
  } catch (error) {
    const told = directoryError(error);
    // nobody uses it again, whatever the library thinks of it
    if (told instanceof DirectoryUnreachable) socket.destroy();
    throw told;
  }
}

function valuesOf(entry: object, attribute: string): string[] {
  const wanted = attribute.toLowerCase();
  const found = Object.entries(entry).find(([name]) => name.toLowerCase() === wanted)?.[1] as unknown;
  const values = Array.isArray(found) ? found : found === undefined ? [] : [found];
  // what is no text comes as bytes, and cannot be a name
  return values.map((value) => (typeof value === 'string' ? value : ''));
}
