import assert from 'node:assert/strict';
import test from 'node:test';
import { escapeHtml, html } from '../../lib/account/html.ts';

test('whatever is put into a template is escaped, in text and in quotes', () => {
  const typed = `"><script>alert('1')</script>&amp;`;
  assert.equal(html`<p title="${typed}">${typed}</p>`.text.includes('<script'), false);
  assert.equal(html`<b>${typed}</b>`.text, '<b>&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;amp;</b>');
});

test('templates nest, lists are joined, and what is not there is nothing', () => {
  assert.equal(html`<ul>${['a', '<'].map((each) => html`<li>${each}</li>`)}${undefined}${null}${false}${0}</ul>`.text, '<ul><li>a</li><li>&lt;</li>0</ul>');
});

test('what nobody sees, or what turns the text behind it, becomes a mark that everybody sees', () => {
  assert.equal(escapeHtml('a\u202eb\u0000c\u2066d\u009be\ud800'), 'a\ufffdb\ufffdc\ufffdd\ufffde\ufffd');
  assert.equal(escapeHtml('Zoë שלום 日本'), 'Zoë שלום 日本');
  // two names that would look like one
  assert.equal(escapeHtml('bo\u200bss so\u00adft \ufeffx \u3164'), 'bo\ufffdss so\ufffdft \ufffdx \ufffd');
  assert.equal(escapeHtml('می\u200cخواهم 👩\u200d🔬'), 'می\u200cخواهم 👩\u200d🔬');
});
