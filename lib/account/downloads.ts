import { Transform, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { PageError } from './page-error.ts';

/** That are packed at the same time. */
const MAX_DOWNLOADS = 4;
/** A browser whose person has stopped it takes nothing, for as long as it likes. */
const IDLE_MILLIS = 60_000;

/** A place for one download. */
export interface DownloadPlace {
  /** The same bytes, with the place held until they are all taken, or nobody wants them any more. */
  hold(bytes: Readable): Readable;
  leave(): void;
}

interface Running {
  /** When somebody took something of it last. */
  takenMillis: number;
  sent: Transform | undefined;
}

/** Downloads on their way: one of each user, and some at once of all. One that nobody goes on taking makes room where there is none. */
export class Downloads {
  readonly #now: () => number;
  readonly #running = new Map<string, Running>();

  /** @param now milliseconds of a clock that never goes back */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** @throws PageError when there is no place */
  begin(userId: string): DownloadPlace {
    if (this.#running.has(userId)) throw new PageError(409, 'A download of yours is on its way already.');
    if (this.#running.size >= MAX_DOWNLOADS && !this.#makeRoom()) {
      throw new PageError(503, 'Many people download at the moment. Please try again in a few minutes.', { code: 'BUSY', retryAfterSecs: 60 });
    }
    const running: Running = { takenMillis: this.#now(), sent: undefined };
    this.#running.set(userId, running);
    const leave = (): void => {
      if (this.#running.get(userId) === running) this.#running.delete(userId);
    };
    return {
      leave,
      hold: (bytes) => {
        running.sent = new Transform({
          transform: (chunk, _encoding, done) => {
            running.takenMillis = this.#now();
            done(null, chunk);
          },
        });
        // how it ended is told by the stream itself
        pipeline(bytes, running.sent).catch(() => {}).finally(leave);
        return running.sent;
      },
    };
  }

  #makeRoom(): boolean {
    const beforeMillis = this.#now() - IDLE_MILLIS;
    const idle = [...this.#running].filter(([, { sent, takenMillis }]) => sent !== undefined && takenMillis < beforeMillis)
      .sort(([, a], [, b]) => a.takenMillis - b.takenMillis)[0];
    if (idle === undefined) return false;
    this.#running.delete(idle[0]);
    idle[1].sent!.destroy(new Error('nobody took the download any more, and others waited'));
    return true;
  }
}
