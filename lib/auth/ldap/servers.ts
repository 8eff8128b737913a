import { DirectoryUnreachable } from './errors.ts';
import type { Tell } from './log.ts';
import type { DirectoryServer } from './settings.ts';

/** A server that did not answer is asked last for so long: milliseconds. */
const DEAD_MILLIS = 30_000;
/** A client gives up after 30 s without an answer, and must hear that the directory is down. */
const GIVE_UP_MILLIS = 20_000;

/** The directory's servers, tried in order, with a short memory of those that did not answer. */
export class Servers {
  readonly #servers: readonly DirectoryServer[];
  readonly #tell: Tell;
  readonly #deadUntilMillis = new Map<DirectoryServer, number>();

  constructor(servers: readonly DirectoryServer[], tell: Tell) {
    this.#servers = servers;
    this.#tell = tell;
  }

  /** The answer of the first server that gives one, which may be a refusal. @throws DirectoryUnreachable when none does */
  async first<T>(ask: (server: DirectoryServer) => Promise<T>): Promise<T> {
    const begunMillis = performance.now();
    const failures: string[] = [];
    for (const server of this.#inOrder()) {
      try {
        const answer = await ask(server);
        this.answered(server);
        return answer;
      } catch (error) {
        if (!(error instanceof DirectoryUnreachable)) throw error;
        this.failed(server, error);
        failures.push(`${server.url}: ${error.message}`);
      }
      if (performance.now() - begunMillis > GIVE_UP_MILLIS) break;
    }
    throw new DirectoryUnreachable(failures.join('; '));
  }

  answered(server: DirectoryServer): void {
    if (this.#deadUntilMillis.delete(server)) this.#tell('info', `${server.url} answers again`);
  }

  failed(server: DirectoryServer, error: DirectoryUnreachable): void {
    if (!this.#deadUntilMillis.has(server)) this.#tell('warn', `${server.url} does not answer: ${error.message}`);
    this.#deadUntilMillis.set(server, performance.now() + DEAD_MILLIS);
  }

  /** All of them: when all are dead, trying is better than refusing. */
  #inOrder(): DirectoryServer[] {
    const now = performance.now();
    const isDead = (server: DirectoryServer): boolean => (this.#deadUntilMillis.get(server) ?? 0) > now;
    return [...this.#servers.filter((server) => !isDead(server)), ...this.#servers.filter(isDead)];
  }
}
