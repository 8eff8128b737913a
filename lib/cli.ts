/** The command line: picks the command, and turns what it throws into words and an exit code. */
import { UsersError } from './auth/users-error.ts';
import { helpOf, helpText } from './cli/help.ts';
import { hint } from './spelling.ts';
import { ownName, packageVersion, processSurroundings, type Surroundings } from './cli/surroundings.ts';
import { UsageError } from './cli/usage-error.ts';
import { BackupError } from './backup/manifest.ts';
import { SyncError } from './errors.ts';
import { DataFolderInUseError } from './storage/files/data-folder-lock.ts';

const commands: Record<string, (args: string[], surroundings: Surroundings) => Promise<number>> = {
  // each command loads what it needs: `user` and `help` start no server
  serve: async (args, surroundings) => (await import('./cli/serve.ts')).serve(args, surroundings),
  gateway: async (args, surroundings) => (await import('./cli/gateway.ts')).gateway(args, surroundings),
  config: async (args, surroundings) => (await import('./cli/config.ts')).config(args, surroundings),
  status: async (args, surroundings) => (await import('./cli/status.ts')).status(args, surroundings),
  maintenance: async (args, surroundings) => (await import('./cli/maintenance.ts')).maintenance(args, surroundings),
  tls: async (args, surroundings) => (await import('./cli/tls.ts')).tls(args, surroundings),
  user: async (args, surroundings) => (await import('./cli/user.ts')).user(args, surroundings),
  import: async (args, surroundings) => (await import('./cli/import.ts')).importOldServer(args, surroundings),
  check: async (args, surroundings) => (await import('./cli/check.ts')).check(args, surroundings),
  backup: async (args, surroundings) => (await import('./cli/backup.ts')).backup(args, surroundings),
  restore: async (args, surroundings) => (await import('./cli/restore.ts')).restore(args, surroundings),
  snapshots: async (args, surroundings) => (await import('./cli/snapshots.ts')).snapshots(args, surroundings),
  doctor: async (args, surroundings) => (await import('./cli/doctor.ts')).doctor(args, surroundings),
  async version(_args, { output }) {
    output.write(`${packageVersion()}\n`);
    return 0;
  },
  async help([command], { output }) {
    if (command !== undefined && !Object.hasOwn(commands, command)) throw unknown(command);
    output.write(command === undefined ? helpText() : helpOf(command));
    return 0;
  },
};

function unknown(name: string): UsageError {
  return new UsageError(`unknown command ${name}.${hint(name, Object.keys(commands))} "${ownName()} help" lists all`);
}

/** Exit codes: 0 done · 1 not done, or "no" · 2 the command line or the environment is wrong. */
export async function main(argv: string[], surroundings: Surroundings = processSurroundings()): Promise<number> {
  const { errors } = surroundings;
  try {
    const [name = '', ...args] = argv;
    if (name === '') {
      errors.write(helpText());
      return 2;
    }
    if (argv.includes('--help') || argv.includes('-h')) return await commands['help']!(Object.hasOwn(commands, name) ? [name] : [], surroundings);
    if (name === '--version' || name === '-v') return await commands['version']!([], surroundings);
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (command === undefined) throw unknown(name);
    return await command(args, surroundings);
  } catch (error) {
    if (error instanceof UsageError || error instanceof UsersError || error instanceof BackupError || error instanceof SyncError || error instanceof DataFolderInUseError) {
      errors.write(`anki-sync: ${error.message}\n`);
      return error instanceof UsageError ? 2 : 1;
    }
    errors.write(`anki-sync: ${error instanceof Error ? error.stack : String(error)}\n`);
    return 1;
  }
}
