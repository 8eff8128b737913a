/**
 * The client's connection ended while its body was read. Nobody waits for an answer: the server logs one line and drops it.
 * Not a `SyncError`, since it has no status and no code that a client could see.
 */
export class ClientGone extends Error {
  constructor(cause: unknown) {
    super('the client went away before its request was complete', { cause });
    this.name = 'ClientGone';
  }
}
