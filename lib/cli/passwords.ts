import { randomInt } from 'node:crypto';
import { createInterface } from 'node:readline';
import { Writable, type Readable } from 'node:stream';
import { UsageError } from './usage-error.ts';

export interface Terminal {
  input: Readable & { isTTY?: boolean };
  /** Prompts go here, so that standard output stays clean. */
  prompts: Writable;
}

/** At a terminal: asked for without echo, `twice` to catch a slip. Otherwise: the first line of standard input. */
export async function readPassword(terminal: Terminal, prompt: string, twice: boolean): Promise<string> {
  const password = terminal.input.isTTY ? await askTwice(terminal, prompt, twice) : await firstLine(terminal.input);
  if (password === '') throw new UsageError('the password is empty');
  return password;
}

async function askTwice(terminal: Terminal, prompt: string, twice: boolean): Promise<string> {
  const silent = new Writable({ write: (_bytes, _encoding, done) => done() });
  const lines = createInterface({ input: terminal.input, output: silent, terminal: true, historySize: 0 });
  const ask = (text: string): Promise<string> =>
    new Promise((resolve, reject) => {
      terminal.prompts.write(text);
      const stop = (): void => reject(new UsageError('no password was given'));
      lines.once('close', stop).once('SIGINT', stop).question('', (answer) => {
        lines.off('close', stop).off('SIGINT', stop);
        terminal.prompts.write('\n');
        resolve(answer);
      });
    });
  try {
    const password = await ask(`${prompt}: `);
    if (twice && password !== (await ask(`${prompt}, once more: `))) throw new UsageError('the two passwords differ');
    return password;
  } finally {
    lines.close();
  }
}

async function firstLine(input: Readable): Promise<string> {
  const lines = createInterface({ input, crlfDelay: Infinity });
  try {
    for await (const line of lines) return line;
    throw new UsageError('no password: enter it at a terminal, or hand it over as the first line of standard input');
  } finally {
    lines.close();
  }
}

/** For a first user: 100 random bits, without letters and digits that look alike. */
export function generatePassword(): string {
  const letters = 'abcdefghijkmnpqrstuvwxyz23456789';
  return Array.from({ length: 4 }, () => Array.from({ length: 5 }, () => letters[randomInt(letters.length)]).join('')).join('-');
}
