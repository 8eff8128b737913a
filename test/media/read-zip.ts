/** What a download's zip holds, read by an implementation that is not ours. */
import yauzl from 'yauzl';

export interface ReadZip {
  /** Names in the order of the entries, from `_meta`. */
  names: string[];
  contents: Record<string, Buffer>;
  /** Names of the entries in their order. */
  entries: string[];
  compressionMethods: number[];
}

export async function readZip(data: Buffer): Promise<ReadZip> {
  const zip = await yauzl.fromBufferPromise(data);
  const entries: string[] = [];
  const compressionMethods: number[] = [];
  const byEntry = new Map<string, Buffer>();
  for await (const entry of zip.eachEntry()) {
    entries.push(entry.fileName);
    compressionMethods.push(entry.compressionMethod);
    const chunks: Buffer[] = [];
    for await (const chunk of await zip.openReadStreamPromise(entry)) chunks.push(chunk as Buffer);
    byEntry.set(entry.fileName, Buffer.concat(chunks));
  }
  const meta = JSON.parse(byEntry.get('_meta')!.toString()) as Record<string, string>;
  const files = entries.filter((name) => name !== '_meta');
  return {
    names: files.map((name) => meta[name]!),
    contents: Object.fromEntries(files.map((name) => [meta[name]!, byEntry.get(name)!])),
    entries,
    compressionMethods,
  };
}
