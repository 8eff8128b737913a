/** Media folders of two devices. */
import assert from 'node:assert/strict';
import type { Scenario } from '../stage.ts';

const NFC = 'pr\u00fcfung \u304c 한.txt';
const NFD = NFC.normalize('NFD');

export const media: Scenario[] = [
  {
    name: 'media files added, replaced and removed on one device follow on the other',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      await a.do('media_write', { files: ['one', 'two', 'three', 'four'].map((name) => ({ name: `${name}.txt`, text: name })) });
      await a.sync({ media: true });
      await b.sync({ media: true });
      await stage.compareMedia(['four.txt', 'one.txt', 'three.txt', 'two.txt'], a, b);
      await b.do('media_replace', { name: 'one.txt', text: 'another one' });
      await b.do('media_trash', { names: ['two.txt'] });
      await b.do('media_write', { files: [{ name: 'five.txt', text: 'five' }] });
      await a.do('media_trash', { names: ['three.txt'] });
      await b.sync({ media: true });
      await a.sync({ media: true });
      await b.sync({ media: true });
      await stage.compareMedia(['five.txt', 'four.txt', 'one.txt'], a, b);
      // what was removed may come back
      await a.do('media_write', { files: [{ name: 'two.txt', text: 'two again' }] });
      await a.sync({ media: true });
      await b.sync({ media: true });
      await stage.compareMedia(['five.txt', 'four.txt', 'one.txt', 'two.txt'], a, b);
    },
  },
  {
    name: 'media sync of its own, without a collection sync, and with nothing to do',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      await a.do('media_write', { files: [{ name: 'alone.txt', text: 'alone' }] });
      await a.syncMedia();
      await a.syncMedia();
      await b.syncMedia();
      await stage.compareMedia(['alone.txt'], a, b);
    },
  },
  {
    name: 'a file that both devices have under one name with other bytes ends the same on both',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      await a.do('media_write', { files: [{ name: 'same.txt', text: 'from a' }, { name: 'equal.txt', text: 'equal' }] });
      await b.do('media_write', { files: [{ name: 'same.txt', text: 'from b' }, { name: 'equal.txt', text: 'equal' }] });
      for (const device of [a, b, a]) await device.sync({ media: true });
      await stage.compareMedia(['equal.txt', 'same.txt'], a, b);
    },
  },
  {
    name: '150 files in both directions, and a one-way sync that fetches them all',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      const files = (from: number, count: number): { name: string; bytes: number }[] =>
        Array.from({ length: count }, (_value, i) => ({ name: `file ${from + i}.bin`, bytes: 200 + ((from + i) % 7) * 9000 }));
      await a.do('media_write', { files: files(0, 100) });
      await b.do('media_write', { files: files(100, 50) });
      for (const device of [a, b, a]) await device.sync({ media: true });
      const names = files(0, 150).map((file) => file.name);
      await stage.compareMedia(names, a, b);
      const c = await stage.device();
      const { required, mediaUsn } = await c.sync({ media: true });
      assert.equal(required, 'FULL_DOWNLOAD');
      assert.equal(mediaUsn, 150);
      await c.download(mediaUsn);
      await stage.compareMedia(names, a, b, c);
      await b.do('media_trash', { names: names.slice(0, 60) });
      for (const device of [b, c, a]) await device.sync({ media: true });
      await stage.compareMedia(names.slice(60), a, b, c);
    },
  },
  {
    name: 'names in any script and of 120 letters keep their form; one that is not NFC stays at home',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      const names = ['größe.png', '日本語 ファイル.jpg', 'emoji 😀👩‍👩‍👧.gif', "quote's & (brackets) [x].mp3", '100 %25 + plus.txt',
        '-dash', '.hidden.txt', `${'ü'.repeat(100)}.txt`, 'CON.txt', 'Case.txt', 'case.txt', '_underscored.css', '\u1100\u1161.txt'.normalize('NFC')];
      const written = await a.do<string[]>('media_write', { files: [...names, NFD].map((name) => ({ name, text: `bytes of ${name}` })) });
      assert.ok(written.includes(NFC), 'Anki itself stores NFC');
      // past Anki, as another program puts it there
      await b.do('media_write_raw', { name: `raw ${NFD}`, text: 'not NFC' });
      for (const device of [a, b, a]) await device.sync({ media: true });
      const onB = await b.mediaFiles();
      assert.ok(`raw ${NFD}` in onB);
      assert.ok(!(`raw ${NFC}` in (await a.mediaFiles())) && !(`raw ${NFD}` in (await a.mediaFiles())));
      await stage.compareMedia(written, a);
      for (const name of written) assert.equal(onB[name], (await a.mediaFiles())[name], name);
      assert.equal(new Set(written).size, names.length + 1);
    },
  },
  {
    name: 'a file of 20 MB, and many of 1 MB, go through whole',
    async run(stage) {
      const [a, b] = await stage.twoDevices();
      const files = Array.from({ length: 8 }, (_value, i) => ({ name: `mb ${i}.bin`, bytes: 1_000_000 + i }));
      files.push({ name: 'big.bin', bytes: 20_000_000 });
      await a.do('media_write', { files });
      await a.sync({ media: true });
      await b.sync({ media: true });
      await stage.compareMedia(files.map((file) => file.name), a, b);
    },
  },
];
