import assert from 'node:assert/strict';
import test from 'node:test';
import { bytesIn } from '../../lib/byte-sizes.ts';
import { ankiSync, temporaryFolder } from './command.ts';

test('a quota of one user is set, told, listed and taken away, each part by itself', async (t) => {
  const base = await temporaryFolder(t);
  const quota = async (...flags: string[]): Promise<string> => {
    const { code, stdout, stderr } = await ankiSync(['user', 'quota', 'Kim', ...flags, '--base', base]);
    assert.deepEqual([code, stderr], [0, '']);
    return stdout;
  };
  await ankiSync(['user', 'add', 'kim', '--base', base], { input: 'one' });
  assert.equal(await quota(), '"kim" may have: collection as everybody, media as everybody\n');
  assert.equal(await quota('--collection', '200M', '--media', '2.5G'), '"kim" may have: collection 200.0 MiB, media 2.5 GiB\n');
  assert.equal(await quota('--media', 'off'), '"kim" may have: collection 200.0 MiB, media without limit\n');
  assert.equal(await quota('--collection', 'default'), '"kim" may have: collection as everybody, media without limit\n');
  assert.equal((await ankiSync(['user', 'list', '--base', base])).stdout, 'kim\t0 keys\tnever signed in\tquota: media without limit\n');
  assert.equal(await quota('--off'), '"kim" may have: collection without limit, media without limit\n');
  assert.equal(await quota(), '"kim" may have: collection without limit, media without limit\n');
  assert.equal(await quota('--default'), '"kim" may have: collection as everybody, media as everybody\n');
  assert.equal((await ankiSync(['user', 'list', '--base', base])).stdout, 'kim\t0 keys\tnever signed in\n');
});

test('what is no quota is told, and changes nothing', async (t) => {
  const base = await temporaryFolder(t);
  await ankiSync(['user', 'add', 'kim', '--base', base], { input: 'one' });
  const cases: [string[], number, RegExp][] = [
    [['kim', '--collection', '0'], 2, /--collection takes a size like 200M or 2G, off or default, not "0"/],
    [['kim', '--media', '-2G'], 2, /--media takes a size/],
    [['kim', '--media', '2X'], 2, /--media takes a size/],
    [['kim', '--off', '--default'], 2, /--off and --default are for collection and media together/],
    [['kim', '--off', '--media', '2G'], 2, /--collection off, --media default/],
    [['lee', '--media', '2G'], 1, /there is no user "lee"/],
    [['kim', '--keep-keys'], 2, /--keep-keys belongs to user passwd/],
    [['kim', '200M'], 2, /user quota takes one name and nothing more/],
  ];
  for (const [args, code, words] of cases) {
    const outcome = await ankiSync(['user', 'quota', ...args, '--base', base]);
    assert.deepEqual([outcome.code, outcome.stdout], [code, ''], args.join(' '));
    assert.match(outcome.stderr, words);
  }
  assert.match((await ankiSync(['user', 'add', 'lee', '--off', '--base', base], { input: 'one' })).stderr, /--off belongs to user admin and user quota/);
  assert.equal((await ankiSync(['user', 'list', '--base', base])).stdout, 'kim\t0 keys\tnever signed in\n');
});

test('sizes are read as people write them, in powers of 1024', () => {
  const sizes = ['1', '500 B', '2k', '200M', '200 MB', '200MiB', '1.5G', ' 1t '].map(bytesIn);
  assert.deepEqual(sizes, [1, 500, 2048, 200 * 1024 ** 2, 200 * 1024 ** 2, 200 * 1024 ** 2, 1.5 * 1024 ** 3, 1024 ** 4]);
  for (const none of ['', '0', '0.0001', '-1', '1e9', 'M', '2Mb/s', '99999999T', '٣', 'off']) assert.equal(bytesIn(none), undefined, none);
});
