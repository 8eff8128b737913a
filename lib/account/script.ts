/** What is nicer with a script, and works without: a button to copy, times as they are where the browser is. */
import { hash } from 'node:crypto';

export const SCRIPT = `'use strict';
for (const shown of document.querySelectorAll('[data-copy]')) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'copy plain';
  button.textContent = 'Copy';
  button.setAttribute('aria-label', 'Copy ' + shown.dataset.copy);
  const told = document.createElement('span');
  told.className = 'quiet';
  told.setAttribute('role', 'status');
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(shown.textContent);
      told.textContent = 'Copied.';
    } catch {
      // a page without https may not: what is marked can be copied by hand
      getSelection().selectAllChildren(shown);
      told.textContent = 'Marked: copy it now.';
    }
  });
  shown.after(button, told);
}
for (const time of document.querySelectorAll('time')) {
  if (time.dateTime.includes('T')) time.textContent = new Date(time.dateTime).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
}
// after a change, whoever cannot see the page hears what it led to
document.querySelector('.notice')?.focus();
`;

export const SCRIPT_VERSION = hash('sha256', SCRIPT).slice(0, 12);
