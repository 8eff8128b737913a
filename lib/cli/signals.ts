/** The first SIGINT or SIGTERM; a second one ends the process at once. */
export function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let seen = false;
    const onSignal = (signal: NodeJS.Signals): void => {
      if (seen) endAtOnce(signal);
      seen = true;
      resolve(signal);
    };
    process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  });
}

/**
 * Ends the process by the signal itself. `process.exit` waits for threads, and one that is deep in SQLite hears nothing for as long
 * as it is at work. Nothing that was answered is lost: it is on the disk, and what was not finished is rolled back by the next start.
 */
export function endAtOnce(signal: NodeJS.Signals): never {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  // only reached as process 1 of a container, which no signal of its own ends
  return process.exit(signal === 'SIGINT' ? 130 : 143);
}
