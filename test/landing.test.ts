import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import { landingPage, landingPageHeaders } from '../lib/landing.ts';

test('the page shows the address to enter, with one slash at its end', () => {
  assert.match(landingPage({ baseUrl: 'https://example.org/anki' }), /<code class="url">https:\/\/example\.org\/anki\/<\/code>/);
  assert.match(landingPage({ baseUrl: 'https://example.org/anki/' }), /<code class="url">https:\/\/example\.org\/anki\/<\/code>/);
  assert.match(landingPage({ baseUrl: 'http://[::1]:8080' }), /<code class="url">http:\/\/\[::1\]:8080\/<\/code>/);
});

test('a Host header with markup stays text', () => {
  const page = landingPage({ baseUrl: `http://x"><script>alert('1')</script>&amp;` });
  assert.doesNotMatch(page, /<script/);
  assert.ok(page.includes('http://x&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;amp;/'));
});

test('the page names the clients, and whose password it is', () => {
  const page = landingPage({ baseUrl: 'https://example.org' });
  for (const words of ['Self-hosted sync server', 'AnkiDroid', 'Custom sync server', 'AnkiMobile', 'this server', 'anki-sync doctor']) assert.ok(page.includes(words), words);
});

test('only an unencrypted address warns, and only a local one says that it is local', () => {
  assert.doesNotMatch(landingPage({ baseUrl: 'https://example.org' }), /not encrypted|this computer only/);
  assert.match(landingPage({ baseUrl: 'http://192.168.1.2:27701' }), /not encrypted/);
  assert.doesNotMatch(landingPage({ baseUrl: 'http://192.168.1.2:27701' }), /this computer only/);
  assert.match(landingPage({ baseUrl: 'http://127.0.0.1:27701' }), /this computer only/);
  assert.doesNotMatch(landingPage({ baseUrl: 'http://localhost.example.org' }), /this computer only/);
});

test('the page stands alone under its own content security policy', () => {
  const page = landingPage({ baseUrl: 'https://example.org' });
  assert.doesNotMatch(page, /<script|<link|<img|<iframe|\ssrc=|\shref=|\sstyle=|\son\w+=|url\(|@import/i);
  const styles = [...page.matchAll(/<style>(.*?)<\/style>/gs)];
  assert.equal(styles.length, 1);
  const hash = createHash('sha256').update(styles[0]?.[1] ?? '').digest('base64');
  assert.match(landingPageHeaders['content-security-policy'] ?? '', /^default-src 'none'; style-src /);
  assert.ok(landingPageHeaders['content-security-policy']?.includes(`'sha256-${hash}'`));
});

test('text and marks have the contrast that tired eyes need, in light and dark', () => {
  const page = landingPage({ baseUrl: 'https://example.org' });
  const palettes = [...page.matchAll(/--ink: (#\w+); --quiet: (#\w+); --paper: (#\w+); --card: (#\w+); --line: #\w+; --accent: (#\w+)/g)];
  assert.equal(palettes.length, 2);
  for (const [, ink, quiet, paper, card, accent] of palettes) {
    for (const front of [ink, quiet, accent]) for (const back of [paper, card]) assert.ok(contrast(front, back) >= 4.5, `${front} on ${back}`);
  }
});

/** WCAG 2 contrast ratio of two `#rgb` or `#rrggbb` colours. */
function contrast(a = '', b = ''): number {
  const luminance = (colour: string): number => {
    const digits = colour.length === 4 ? [...colour.slice(1)].map((digit) => digit + digit) : colour.slice(1).match(/../g) ?? [];
    const [red = 0, green = 0, blue = 0] = digits.map((pair) => Number.parseInt(pair, 16) / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}
