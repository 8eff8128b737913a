import type { Call, Outcome } from './calls.ts';
import { Sessions } from './session.ts';
import { asSyncError } from './step-error.ts';
import { makeStores, type Choices } from './stores.ts';

/** Where calls of a user run: a worker thread, or the main side. */
export interface Room {
  run(call: Call): Promise<Outcome>;
  close(): Promise<void>;
}

/** The stores and what runs on them: one in each worker thread, or one on the main side for stores given as objects. */
export class StoreRoom implements Room {
  #choices: Choices;
  #sessions: Promise<Sessions> | undefined;

  constructor(choices: Choices) {
    this.#choices = choices;
  }

  async run(call: Call): Promise<Outcome> {
    return (await this.#opened()).run(call);
  }

  async close(): Promise<void> {
    const sessions = await this.#sessions?.catch(() => undefined);
    await sessions?.close();
  }

  /** Stores are made at the first call. What cannot be made is told to its caller, and tried again for the next one. */
  async #opened(): Promise<Sessions> {
    const sessions = (this.#sessions ??= makeStores(this.#choices).then((stores) => new Sessions(stores)));
    try {
      return await sessions;
    } catch (error) {
      if (this.#sessions === sessions) this.#sessions = undefined;
      throw asSyncError(error);
    }
  }
}
