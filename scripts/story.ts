/** What the `try:*` commands do with a story that the tests play too: step by step, and then open for a person to play with. */

export interface Tally {
  passed: number;
  failed: number;
}

/** Plays all steps, also those after one that failed. `tally` is counted up as they end. */
export async function playSteps<Story>(steps: readonly (readonly [sentence: string, run: (story: Story) => unknown])[], story: Story, tally: Tally): Promise<void> {
  for (const [sentence, run] of steps) {
    try {
      await run(story);
      tally.passed++;
      console.log(`✔ ${sentence}`);
    } catch (error) {
      tally.failed++;
      console.log(`✖ ${sentence}\n${error instanceof Error ? error.stack : String(error)}`);
    }
  }
  console.log(`${tally.passed} passed, ${tally.failed} failed`);
}

/** Resolves with Ctrl+C, or SIGTERM. */
export function untilStopped(): Promise<void> {
  return new Promise((resolve) => process.once('SIGINT', resolve).once('SIGTERM', resolve));
}
