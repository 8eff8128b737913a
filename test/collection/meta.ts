/** Rules of `meta`. */
import { card } from './objects.ts';
import type { Player } from './player.ts';
import type { Rule } from './rule.ts';
import { uploadZip } from '../media/raw-zip.ts';

/** `cont` and `msg` for a body of version `v`, after a sync with this config. */
async function told(user: Player, v: number, conf: { [key: string]: number }): Promise<unknown> {
  await user.begin({ conf });
  const { cont, msg } = (await user.ask('meta', { v, cv: '' })) as { cont: boolean; msg: string };
  return [cont, msg];
}

const NO_V2 = 'Your client does not support the v2 scheduler';
const NO_TIMEZONE = 'Your client does not support the new timezone handling.';

export const META: Rule[] = [
  {
    sentence: 'a fresh account is empty, with usn 0 and mod 0',
    play: async (user) => {
      const { mod, usn, msg, cont, hostNum, empty, media_usn } = await user.meta();
      return { mod, usn, msg, cont, hostNum, empty, media_usn };
    },
    expected: { mod: 0, usn: 0, msg: '', cont: true, hostNum: 0, empty: true, media_usn: 0 },
  },
  {
    sentence: 'it has these keys and no others',
    play: async (user) => Object.keys(await user.meta()).sort(),
    expected: ['cont', 'empty', 'hostNum', 'media_usn', 'mod', 'msg', 'scm', 'ts', 'usn'],
  },
  {
    sentence: 'ts is the time in seconds, scm in milliseconds',
    play: async (user) => {
      const { ts, scm } = (await user.meta()) as { ts: number; scm: number };
      return [Math.abs(ts - Date.now() / 1000) < 60, Math.abs(scm - Date.now()) < 60_000];
    },
    expected: [true, true],
  },
  {
    sentence: 'a collection with a card is not empty, one with a note alone is',
    play: async (user) => {
      await user.begin({ cards: [] });
      const before = (await user.meta())['empty'];
      await user.sync({ cards: [card({ usn: 1 })] }, { minUsn: 1 });
      return [before, (await user.meta())['empty']];
    },
    expected: [true, false],
  },
  {
    sentence: 'media_usn is the usn of the media, which the collection does not touch',
    play: async (user) => {
      await user.begin();
      await user.client.msync('uploadChanges', uploadZip([['a.png', 'a'], ['b.png', 'b']]));
      const { usn, media_usn } = await user.meta();
      return [usn, media_usn];
    },
    expected: [1, 2],
  },
  ...[7, 12].map((v): Rule => ({
    sentence: `sync version ${v} is not implemented`,
    play: (user) => user.status('meta', { v, cv: '' }),
    expected: 501,
  })),
  { sentence: 'version 8 cannot sync a collection of the v2 scheduler', play: (user) => told(user, 8, { schedVer: 2 }), expected: [false, NO_V2] },
  { sentence: 'version 9 can', play: (user) => told(user, 9, { schedVer: 2 }), expected: [true, ''] },
  {
    sentence: 'version 9 cannot sync a collection of the new timezone handling',
    play: (user) => told(user, 9, { schedVer: 2, creationOffset: 0 }),
    expected: [false, NO_TIMEZONE],
  },
  { sentence: 'version 10 can', play: (user) => told(user, 10, { schedVer: 2, creationOffset: 0 }), expected: [true, ''] },
  { sentence: 'version 8 can sync a collection that has neither', play: (user) => told(user, 8, { schedVer: 1 }), expected: [true, ''] },
];
