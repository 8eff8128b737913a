/** The command line, ended at any operation on the files that it writes; then what is there is looked at, and the command given again. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsersDatabase } from '../../lib/auth/users-database.ts';
import { usersDatabasePath } from '../../lib/auth/users-schema.ts';
import { replaceFolder } from './data-folder.ts';
import { described, pointsOf, type KillOptions, type Tried } from './kill-points.ts';
import { Control, readOperations, type Watch } from './operations.ts';
import { COMMANDS as WRITING_MUCH, type Command } from './power-commands.ts';
import { Replay } from './replay.ts';
import { filesBelow, findings } from './state.ts';
import { watchedProcess, type Ended } from './watched-process.ts';

export interface KillCommand extends Command {
  /** On standard input. */
  input?: string;
  /** It goes on until it is stopped. */
  serves?: boolean;
  /** What the command says when it is given again and all was done by then. */
  already?: RegExp;
  /** Looks after the command was given again, where `look` knows only the first one's end. */
  after?(watched: string): void;
}

async function userCount(base: string): Promise<number> {
  if (!existsSync(usersDatabasePath(base))) return 0;
  const database = await UsersDatabase.open(base);
  try {
    return database.users().length;
  } finally {
    await database.close();
  }
}

export const COMMANDS: readonly KillCommand[] = [
  ...WRITING_MUCH.map((command): KillCommand => {
    if (command.again === true) return command;
    // a backup is read again before it gets its name
    const after = (watched: string): void => assert.ok(existsSync(command.args(watched, '').at(-1)!), 'there is no backup');
    return { ...command, already: /exists already/, after };
  }),
  {
    name: 'the first user is added',
    already: /there is a user "ada" already/,
    input: 'a password\n',
    before: () => {},
    args: (watched) => ['user', 'add', 'ada', '--base', join(watched, 'data')],
    async look(disk, { over }) {
      const count = await userCount(join(disk, 'data'));
      assert.ok(over ? count === 1 : count <= 1, `there are ${count} users`);
      if (over) assert.deepEqual((await findings(join(disk, 'data'))).problems, []);
    },
  },
  {
    name: 'the first start of a server',
    again: true,
    serves: true,
    before: () => {},
    args: (watched) => ['serve', '--base', join(watched, 'data'), '--host', '127.0.0.1', '--port', '0'],
    async look(disk) {
      if (existsSync(join(disk, 'data'))) assert.deepEqual((await findings(join(disk, 'data'))).problems, []);
    },
  },
];

/** @throws AssertionError with the operation at which something was lost */
export async function killCommand(command: KillCommand, options: KillOptions = {}): Promise<Tried> {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'kill-')));
  const [watched, other, start, done, disk, scratch] = ['watched', 'other', 'start', 'done', 'disk', 'scratch'].map((name) => join(folder, name)) as
    [string, string, string, string, string, string];
  const control = new Control(join(folder, 'control'));
  const play = async (watch: Omit<Watch, 'folder'> = {}): Promise<Ended> => {
    const { root } = options;
    const process = await watchedProcess(command.args(watched, other), {
      folder: watched,
      ...watch,
      ...(command.input === undefined ? {} : { input: command.input }),
      ...(root === undefined ? {} : { root }),
    });
    if (command.serves === true) {
      const stopOnce = (): void => {
        if (!/^listening on /m.test(process.output())) return;
        process.child.stdout!.off('data', stopOnce);
        process.child.kill('SIGTERM');
      };
      process.child.stdout!.on('data', stopOnce);
    }
    return process.ended;
  };
  const failing = (at: string, error: unknown): never => assert.fail(`${command.name}, ended ${at}: ${(error as Error).message}`);
  try {
    for (const each of [watched, other]) mkdirSync(each);
    await command.before(watched, other);
    replaceFolder(watched, start);
    const replay = new Replay(watched, disk);
    const log = join(folder, 'log');
    control.count();
    const whole = await play({ log, control });
    assert.equal(whole.code, 0, whole.output);
    replaceFolder(watched, done);
    const operations = readOperations(log).filter(({ number }) => number > 0);
    for (const operation of operations) {
      const at = described({ number: operation.number, within: false }, operations, watched);
      // the look opens databases, and would write their logs back
      replaceFolder(disk, scratch);
      await command.look(scratch, { over: false, start, done, scratch: join(folder, 'look') }).catch((error: unknown) => failing(at, error));
      replay.apply(operation);
    }
    const visible = (files: Map<string, string>): [string, string][] => [...files].filter(([path]) => !/-shm$|\/(lock\.db|server\.json|control)/.test(path));
    assert.deepEqual(visible(filesBelow(disk)), visible(filesBelow(done)), 'the record does not lead to the same files');

    const points = pointsOf(operations, options);
    for (const point of points) {
      const at = described(point, operations, watched);
      rmSync(watched, { recursive: true, force: true });
      replaceFolder(start, watched);
      control.kill(point.number, point.within);
      const ended = await play({ control });
      control.off();
      // where threads share the work, there may be fewer operations than in the record
      if (ended.signal !== 'SIGKILL') assert.equal(ended.code, 0, `${at}: ${ended.output}`);
      replaceFolder(watched, scratch);
      await command.look(scratch, { over: false, start, done, scratch: join(folder, 'look') }).catch((error: unknown) => failing(at, error));
      const again = await play();
      const isDone = again.code === 0 || command.already?.test(again.output) === true;
      if (!isDone) failing(at, new Error(`the same command again ends with ${again.code}: ${again.output}`));
      if (command.after !== undefined) command.after(watched);
      else await command.look(watched, { over: true, start, done, scratch: join(folder, 'look') }).catch((error: unknown) => failing(at, error));
      assert.ok(statSync(watched).isDirectory());
    }
    return { operations: operations.length, killed: new Set(points.map(({ number }) => number)).size };
  } finally {
    control.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
