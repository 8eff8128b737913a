import assert from 'node:assert/strict';
import test from 'node:test';
import { deviceName } from '../../lib/auth/device-name.ts';

const NAMES: [client: string, name: string][] = [
  ['anki,26.9.3 (d1e7cf4b),lin:ubuntu:22.04', 'Anki 26.9.3, Ubuntu 22.04'],
  ['anki,25.02.7 (038d85b1),mac:14.1', 'Anki 25.02.7, macOS 14.1'],
  ['anki,25.02.7 (038d85b1),win:10', 'Anki 25.02.7, Windows 10'],
  ['anki,25.02.7 (038d85b1),linux', 'Anki 25.02.7, Linux'],
  ['26.9.3,d1e7cf4b,linux', 'Anki 26.9.3, Linux'],
  ['25.09.2,3890e12c,windows', 'Anki 25.09.2, Windows'],
  ['25.09.2,3890e12c,macos', 'Anki 25.09.2, macOS'],
  ['25.09.2,3890e12c,android', 'AnkiDroid (Anki 25.09.2)'],
  ['25.09.2,3890e12c,ios', 'AnkiMobile (Anki 25.09.2)'],
  ['anki,25.09.2 (3890e12c),android:2.23.3:14:Pixel 7', 'AnkiDroid 2.23.3, Pixel 7, Android 14'],
  ['ankidesktop,2.1.26,lin:debian:12', 'Anki 2.1.26, Debian 12'],
  ['ankidroid,2.15.6,', 'AnkiDroid 2.15.6'],
  ['anki,2.1.66 (70506aeb),freebsd', 'Anki 2.1.66, freebsd'],
  ['', 'unknown client'],
  [' \u0000 ', 'unknown client'],
  ['constructor,1.0,toString', 'constructor,1.0,toString'],
  ['my script', 'my script'],
  ['my\nscript\u001b[31m', 'my script [31m'],
  ['x'.repeat(200), `${'x'.repeat(79)}…`],
];

for (const [client, name] of NAMES) {
  test(`${JSON.stringify(client.slice(0, 60))} is shown as ${name}`, () => assert.equal(deviceName(client), name));
}
