/** The file is not what Anki would accept. The reason is for the log: it names places, never what stands there. */
export class CorruptFile extends Error {
  constructor(reason: string, options?: ErrorOptions) {
    super(reason, options);
    this.name = 'CorruptFile';
  }
}
