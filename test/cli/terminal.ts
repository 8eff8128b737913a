/** The command line as somebody sees it who sits before it. */
import { ankiEnvironment, ankiPython, run } from '../oracle/anki-python.ts';
import { BIN } from './command.ts';

/** All that the terminal is sent, with its control characters. */
export async function atTerminal(...args: string[]): Promise<string> {
  return run(await ankiPython(), ['-c', TERMINAL, process.execPath, BIN, ...args], { env: ankiEnvironment() });
}

const TERMINAL = `
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
shown = b''
while True:
    try:
        part = os.read(terminal, 4096)
    except OSError:
        break
    if not part:
        break
    shown += part
os.waitpid(pid, 0)
sys.stdout.buffer.write(shown)
`;
