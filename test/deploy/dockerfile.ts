/** A Dockerfile, read as far as ours needs it. */

export interface Instruction {
  name: string;
  /** What follows, on one line. */
  text: string;
  /** `--from=build` → `from: 'build'`. */
  flags: Record<string, string>;
  /** Words after the flags; of the exec form `["a", "b"]`, its words. */
  words: string[];
  isExecForm: boolean;
}

export interface BuildStage {
  name: string | undefined;
  image: string;
  instructions: Instruction[];
}

export function readDockerfile(text: string): BuildStage[] {
  const lines = text.replaceAll(/^\s*#.*\n/gm, '').replaceAll(/\\\n\s*/g, '').split('\n').filter((line) => line.trim() !== '');
  const stages: BuildStage[] = [];
  for (const line of lines) {
    const instruction = readInstruction(line);
    if (instruction.name === 'FROM') {
      const [image = '', , name] = instruction.words;
      stages.push({ name, image, instructions: [] });
    } else {
      const stage = stages.at(-1);
      if (stage === undefined) throw new Error(`before any FROM: ${line}`);
      stage.instructions.push(instruction);
    }
  }
  return stages;
}

function readInstruction(line: string): Instruction {
  const [, name = '', rest = ''] = /^(\w+)\s+(.*)$/.exec(line) ?? [];
  const [, flagText = '', text = ''] = /^((?:--[a-z-]+=\S+\s+)*)(.*)$/.exec(rest) ?? [];
  const flags = Object.fromEntries([...flagText.matchAll(/--([a-z-]+)=(\S+)/g)].map(([, key, value]) => [key!, value!]));
  const isExecForm = text.startsWith('[');
  return { name, text, flags, words: isExecForm ? (JSON.parse(text) as string[]) : text.split(/\s+/), isExecForm };
}

/** Whether a path is in the context of a build: the last line of `.dockerignore` that fits decides. */
export function isInContext(path: string, ignore: string): boolean {
  let isIn = true;
  for (const line of ignore.split('\n').filter((each) => each !== '' && !each.startsWith('#'))) {
    const pattern = line.replace(/^!/, '');
    if (pattern === '*' || path === pattern || path.startsWith(`${pattern}/`)) isIn = line.startsWith('!');
  }
  return isIn;
}
