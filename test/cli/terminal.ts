/** The command line as somebody sees it who sits before it. */
import { ankiEnvironment, ankiPython, run } from '../oracle/anki-python.ts';
import { BIN } from './command.ts';

/** All that the terminal is sent, with its control characters. */
export async function atTerminal(...args: string[]): Promise<string> {
  return (await conversation(args)).shown;
}

/** The same, where each prompt gets the next of the answers. */
export async function conversation(args: string[], answers: string[] = []): Promise<{ shown: string; code: number }> {
  const words = [JSON.stringify(answers), process.execPath, BIN, ...args];
  return JSON.parse(await run(await ankiPython(), ['-c', TERMINAL, ...words], { env: ankiEnvironment() })) as { shown: string; code: number };
}

const TERMINAL = `
import json, os, pty, sys
answers = json.loads(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[2], sys.argv[2:])
shown = b''
while True:
    try:
        part = os.read(terminal, 4096)
    except OSError:
        break
    if not part:
        break
    shown += part
    if part.endswith(b': ') and answers:
        os.write(terminal, answers.pop(0).encode() + b'\\r')
_, status = os.waitpid(pid, 0)
print(json.dumps({'shown': shown.decode(), 'code': os.waitstatus_to_exitcode(status)}))
`;
