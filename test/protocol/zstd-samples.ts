/** Frames as Anki's clients and other encoders make them (Python's `zstandard`, the reference library), and some made by hand. */
import { ankiPython, run } from '../oracle/anki-python.ts';

export interface ZstdSample {
  name: string;
  frame: Buffer;
  content: Buffer;
}

const SCRIPT = `
import json, sys, random, zstandard as z
random.seed(7)
words = [bytes(random.choices(b'abcdefghijklmnop', k=random.randint(2, 9))) for _ in range(400)]
contents = {
  'meta': b'{"v":11,"cv":"anki,26.09.3"}',
  'text': b' '.join(random.choices(words, k=60000)),
  'noise': random.randbytes(300000),
  'zeros': bytes(700000),
  'nothing': b'',
}
def streamed(data, piece, **options):
    out = z.ZstdCompressor(**options).compressobj()
    return b''.join([out.compress(data[i:i + piece]) for i in range(0, len(data), piece)] + [out.flush()])
def flushed(data, piece):
    out = z.ZstdCompressor().compressobj()
    blocks = [out.compress(data[i:i + piece]) + out.flush(z.COMPRESSOBJ_FLUSH_BLOCK) for i in range(0, len(data), piece)]
    return b''.join(blocks + [out.flush()])
def params(**options):
    return {'compression_params': z.ZstdCompressionParameters(**options)}
made = []
for key, data in contents.items():
    made.append((key + ', as Anki streams it', data, streamed(data, 4096)))
    made.append((key + ', whole, with its size', data, z.ZstdCompressor(level=1).compress(data)))
    made.append((key + ', with a checksum', data, streamed(data, 4096, level=1, write_checksum=True)))
    made.append((key + ', whole, with checksum, without size', data, z.ZstdCompressor(write_checksum=True, write_content_size=False).compress(data)))
    made.append((key + ', flushed block by block', data, flushed(data, 3000)))
made.append(('text, level 19', contents['text'], streamed(contents['text'], 4096, level=19)))
made.append(('text, window of 1 KiB', contents['text'], streamed(contents['text'], 4096, **params(window_log=10))))
made.append(('meta, window of 128 MiB', contents['meta'], streamed(contents['meta'], 4096, **params(window_log=27))))
json.dump([[n, c.hex(), f.hex()] for n, c, f in made], sys.stdout)
`;

export async function zstdSamples(): Promise<ZstdSample[]> {
  const made = JSON.parse(await run(await ankiPython(), ['-c', SCRIPT])) as [string, string, string][];
  return made.map(([name, content, frame]) => ({ name, content: Buffer.from(content, 'hex'), frame: Buffer.from(frame, 'hex') }));
}

export const EMPTY_FRAME = Buffer.from('28b52ffd2000010000', 'hex');
export const EMPTY_FRAME_WITH_CHECKSUM = Buffer.from('28b52ffd240001000099e9d851', 'hex');

export function skippableFrame(bytes: number): Buffer {
  const frame = Buffer.alloc(8 + bytes, 'x');
  frame.writeUInt32LE(0x184d2a53, 0);
  frame.writeUInt32LE(bytes, 4);
  return frame;
}

/** A frame header without content size; `windowDescriptor` 0x58 is 2 MiB, as of Anki's clients. */
export function frameStart(windowDescriptor = 0x58): Buffer {
  return Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0, windowDescriptor]);
}

/** Four bytes that unpack to 128 KiB. */
export const ZEROS_BLOCK = Buffer.from([0x02, 0x00, 0x10, 0x00]);
