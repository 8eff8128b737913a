import type { IncomingMessage } from 'node:http';

export const MAX_DRAINED_BYTES = 64 * 1024 * 1024;
export const MAX_DRAIN_MS = 30_000;

/**
 * Reads and drops what the client is still sending though it has its answer. Resolves with true once the request is at its end,
 * and with false when the client sent too much or took too long, and its connection is to be cut.
 *
 * A client that is refused half-way through an upload goes on writing. If nobody reads, it may never look at the answer; if the
 * connection is closed with bytes unread, the kernel resets it and the answer is lost: "network error" instead of "wrong password".
 */
export function drained(req: IncomingMessage): Promise<boolean> {
  return new Promise((resolve) => {
    let drainedBytes = 0;
    const timer = setTimeout(() => stop(false), MAX_DRAIN_MS);
    const count = (bytes: Uint8Array): void => {
      drainedBytes += bytes.byteLength;
      if (drainedBytes > MAX_DRAINED_BYTES) stop(false);
    };
    const end = (): void => stop(true);
    const gone = (): void => stop(false);
    function stop(atItsEnd: boolean): void {
      clearTimeout(timer);
      req.off('data', count).off('end', end).off('close', gone);
      resolve(atItsEnd);
    }
    req.on('data', count).on('end', end).on('close', gone).on('error', gone);
    req.resume();
  });
}
