/** One sync at a time on the official server, as an oracle for single rules: what it takes, and what it makes of it. */
import { Agent } from 'node:http';
import type { TestContext } from 'node:test';
import { parseLossless, stringifyLossless, type Json } from '../../lib/schema/json.ts';
import { RawClient } from '../client/raw.ts';
import { startOfficialServer } from '../oracle/official-server.ts';

export interface Changes {
  models?: Json[];
  decks?: Json[];
  deckConfigs?: Json[];
  tags?: string[];
  conf?: Json;
  crt?: number;
}

export interface State {
  models: { [key: string]: Json }[];
  decks: [{ [key: string]: Json }[], { [key: string]: Json }[]];
  tags: string[];
  conf: { [key: string]: Json };
}

export class OfficialSync {
  #client: RawClient;
  #sessions = 0;

  constructor(client: RawClient) {
    this.#client = client;
  }

  /** Begins anew; what an earlier sync did and did not finish is gone. */
  async start(): Promise<void> {
    this.#client = this.#client.withSession(`session${++this.#sessions}`);
    const response = await this.post('start', { minUsn: 0, lnewer: false });
    if (response.status !== 200) throw new Error(`start answered ${response.status}`);
  }

  async post(method: string, body: Json): Promise<{ status: number; text: string }> {
    const response = await this.#client.post(method, stringifyLossless(body));
    return { status: response.status, text: response.text() };
  }

  /** Sends JSON text as it is. */
  async postText(method: string, body: string): Promise<number> {
    return (await this.#client.post(method, body)).status;
  }

  /** Applies changes within the running sync. */
  async apply(changes: Changes): Promise<void> {
    const { status, text } = await this.post('applyChanges', changesBody(changes));
    if (status !== 200) throw new Error(`applyChanges answered ${status} ${text}`);
  }

  /** Everything that the server now holds, within the running sync. */
  async state(): Promise<State> {
    const { status, text } = await this.post('applyChanges', changesBody({}));
    if (status !== 200) throw new Error(`applyChanges answered ${status} ${text}`);
    return parseLossless(text) as unknown as State;
  }
}

export function changesBody({ models = [], decks = [], deckConfigs = [], tags = [], conf, crt }: Changes): Json {
  return {
    changes: { models, decks: [decks, deckConfigs], tags, ...(conf === undefined ? {} : { conf }), ...(crt === undefined ? {} : { crt }) },
  };
}

/** A server for one test file, ended with the test. */
export async function officialSync(test: TestContext): Promise<OfficialSync> {
  const server = await startOfficialServer({ users: { oracle: 'password' } });
  const agent = new Agent({ keepAlive: true });
  test.after(async () => {
    agent.destroy();
    await server.stop();
  });
  const client = new RawClient(server.url, { agent });
  await client.hostKey('oracle', 'password');
  return new OfficialSync(client);
}
