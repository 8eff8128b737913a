import assert from 'node:assert/strict';
import test from 'node:test';
import { reviewChart } from '../../lib/account/chart.ts';
import { bytes, moment } from '../../lib/account/formats.ts';
import { words } from './visitor.ts';

const NOW = Date.UTC(2026, 10, 21, 12);

test('reviews are bars for the eye, and the same numbers as a table', () => {
  const { text } = reviewChart([{ daysAgo: 0, reviews: 40, millis: 600_000 }, { daysAgo: 1, reviews: 20, millis: 60_000 }, { daysAgo: 41, reviews: 1, millis: 0 }], 42, NOW);
  const heights = [...text.matchAll(/<rect [^>]*height="(\d+)"/g)].map(([, height]) => Number(height));
  assert.equal(heights.length, 3);
  assert.equal(heights[0], 2 * heights[1]!);
  assert.ok(heights[2]! >= 2, 'one review can be seen');
  assert.match(text, /role="img" aria-label="61 reviews in the last 6 weeks, at most 40 reviews a day"/);
  assert.match(words({ text }), /today 40 10 minutes yesterday 20 1 minute 41 days ago, about 11 Oct 2026 1 0 minutes/);
});

test('bars stay within the picture, also of days that cannot be', () => {
  const { text } = reviewChart([{ daysAgo: -3, reviews: 9, millis: 0 }, { daysAgo: 0, reviews: 9, millis: 0 }, { daysAgo: 99, reviews: 9, millis: 0 }], 42, NOW);
  const places = [...text.matchAll(/<rect x="([\d.-]+)" y="(\d+)" width="([\d.]+)"/g)].map((match) => match.slice(1).map(Number));
  assert.equal(places.length, 1);
  for (const [x = 0, y = 0, width = 0] of places) assert.ok(x >= 0 && x + width <= 640 && y >= 0 && y <= 160);
});

test('without reviews there is no picture', () => {
  assert.doesNotMatch(reviewChart([], 42, NOW).text, /<svg/);
});

test('sizes and times are for people, and a time that cannot be is none', () => {
  assert.deepEqual([bytes(0), bytes(1023), bytes(1536), bytes(5 * 1024 ** 3)], ['0 bytes', '1,023 bytes', '1.5 KiB', '5 GiB']);
  assert.equal(moment(NOW).text, '<time datetime="2026-11-21T12:00:00.000Z">21 Nov 2026, 12:00 UTC</time>');
  for (const never of [NaN, 1e20, -1e15]) assert.equal(moment(never).text, 'unknown');
});
