import assert from 'node:assert/strict';
import { it } from 'node:test';
import { isFileName, isUnsafeName } from '../../../lib/storage/files/file-name.ts';

it('names that Windows refuses or takes for something else are no file names there', () => {
  for (const name of ['con.png', 'NUL', 'com1', 'LPT9.txt', 'aux .png', 'a\\b', 'a:b', 'a.', 'a ', 'a?', 'a*', 'a|b', 'a<b', '"', 'a\nb', 'CONIN$']) {
    assert.equal(isFileName(name, 'win32'), false, JSON.stringify(name));
    assert.equal(isFileName(name, 'linux'), true, JSON.stringify(name));
  }
  for (const name of ['a.png', 'console.png', 'com.png', 'nul1', ' a', '.a', '漢字.mp3']) assert.equal(isFileName(name, 'win32'), true, name);
});

it('names that would be a path or end early are unsafe everywhere', () => {
  for (const name of ['', '.', '..', 'a/b', '/', 'a\0b', '\udc00']) assert.equal(isUnsafeName(name), true, JSON.stringify(name));
  for (const name of ['...', '.a', 'a\\b', ' ', '👩‍🔬']) assert.equal(isUnsafeName(name), false, JSON.stringify(name));
});
