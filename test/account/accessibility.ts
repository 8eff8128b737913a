/** What can be measured of a page for people who see little, or nothing, or use no mouse. */
import { readFileSync } from 'node:fs';
import type { Page } from 'playwright-core';

const FAULTS = readFileSync(new URL('faults.browser.js', import.meta.url), 'utf8');

/** Sentences about what is wrong; empty where nothing is. */
export function faultsOf(page: Page): Promise<string[]> {
  return page.evaluate(FAULTS);
}

const FOCUS_IS_SEEN = `(() => {
  const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
  return document.activeElement !== document.body && outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 2;
})()`;

/** Whether somebody who uses the keyboard sees where they are. */
export function focusIsSeen(page: Page): Promise<boolean> {
  return page.evaluate(FOCUS_IS_SEEN);
}
