/** Something from outside has not the shape that Anki gives it. The message names the place, never the data. */
export class SchemaError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SchemaError';
  }
}
