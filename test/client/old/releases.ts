/** The releases of Anki that are paired with the newest one, and how each is driven. */
import { fileURLToPath } from 'node:url';
import { AnkiDevices } from '../devices.ts';

/** Anki's own Python (2.1.26), multipart forms (2.1.28 to 2.1.56), a header and zstd (2.1.57 on). */
type Generation = 'python' | 'forms' | 'header';

export interface Release {
  version: string;
  year: number;
  /** Of the sync protocol. */
  syncVersion: 10 | 11;
  generation: Generation;
}

export const RELEASES: readonly Release[] = [
  { version: '2.1.26', year: 2020, syncVersion: 10, generation: 'python' },
  { version: '2.1.28', year: 2020, syncVersion: 10, generation: 'forms' },
  { version: '2.1.35', year: 2020, syncVersion: 10, generation: 'forms' },
  { version: '2.1.44', year: 2021, syncVersion: 10, generation: 'forms' },
  { version: '2.1.49', year: 2021, syncVersion: 10, generation: 'forms' },
  { version: '2.1.56', year: 2022, syncVersion: 10, generation: 'forms' },
  { version: '2.1.66', year: 2023, syncVersion: 11, generation: 'header' },
  { version: '23.12.1', year: 2023, syncVersion: 11, generation: 'header' },
  { version: '24.11', year: 2024, syncVersion: 11, generation: 'header' },
  { version: '25.9.5', year: 2025, syncVersion: 11, generation: 'header' },
];

const PROGRAM = fileURLToPath(new URL('device.py', import.meta.url));

/** A process of devices of this release, which know no server but the one at `endpoint`. */
export function startDevices(release: Release, endpoint: string): Promise<AnkiDevices> {
  return AnkiDevices.start({
    version: release.version,
    program: [PROGRAM, release.generation],
    env: { SYNC_ENDPOINT: `${endpoint}sync/`, SYNC_ENDPOINT_MEDIA: `${endpoint}msync/` },
  });
}
