import assert from 'node:assert/strict';
import { test } from 'node:test';
import { giveZipMemoryBack, takeZipMemory } from '../../lib/media/zip-memory.ts';

const BYTES = 100_000;

test('the memory of a zip is used again once it was given back, and not before', () => {
  const one = takeZipMemory(BYTES);
  const other = takeZipMemory(BYTES);
  assert.notEqual(other.buffer, one.buffer);
  giveZipMemoryBack(one);
  const next = takeZipMemory(2 * BYTES);
  assert.equal(next.buffer, one.buffer);
  assert.equal(next.length, 2 * BYTES);
  assert.notEqual(takeZipMemory(BYTES).buffer, one.buffer);
});

test('memory that moved to another thread, or is too small for a zip, is not used for it', () => {
  const moved = takeZipMemory(BYTES);
  structuredClone(moved, { transfer: [moved.buffer] });
  giveZipMemoryBack(moved);
  const small = takeZipMemory(BYTES);
  assert.equal(small.length, BYTES);
  giveZipMemoryBack(small);
  assert.equal(takeZipMemory(4_000_000).length, 4_000_000);
});
