import type { ReviewDay } from '../storage/storage.ts';
import { count, day, minutes } from './formats.ts';
import { html, type Html } from './html.ts';

const DAY_MILLIS = 86_400_000;
const WIDTH = 640;
const HEIGHT = 160;
const BASELINE = 136;

/** Bars of reviews by day, drawn by the server, and the same numbers as a table for whoever does not see them. */
export function reviewChart(reviewDays: readonly ReviewDay[], days: number, nowMillis: number): Html {
  const total = reviewDays.reduce((sum, { reviews }) => sum + reviews, 0);
  if (total === 0) return html`<p>No reviews in the last ${days / 7} weeks.</p>`;
  const most = Math.max(...reviewDays.map(({ reviews }) => reviews));
  const step = WIDTH / days;
  const bars = reviewDays.filter(({ daysAgo }) => daysAgo >= 0 && daysAgo < days).map(({ daysAgo, reviews }) => {
    const height = Math.max(2, Math.round((reviews / most) * (BASELINE - 20)));
    const left = ((days - 1 - daysAgo) * step + 1).toFixed(1);
    return html`<rect x="${left}" y="${BASELINE - height}" width="${(step - 2).toFixed(1)}" height="${height}" rx="1"></rect>`;
  });
  const words = `${count(total, 'review')} in the last ${days / 7} weeks, at most ${count(most, 'review')} a day`;
  return html`<p>${words}.</p>
<svg class="chart" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${words}">
<line x1="0" x2="${WIDTH}" y1="${BASELINE}" y2="${BASELINE}"></line>
${bars}
<text x="0" y="12">${most}</text>
<text x="0" y="${HEIGHT - 6}">${days / 7} weeks ago</text>
<text x="${WIDTH}" y="${HEIGHT - 6}" text-anchor="end">today</text>
</svg>
<details>
<summary>The same as a table</summary>
<div class="scroll"><table>
<thead><tr><th scope="col">Day</th><th scope="col" class="number">Reviews</th><th scope="col" class="number">Time</th></tr></thead>
<tbody>
${reviewDays.map(({ daysAgo, reviews, millis }) => html`<tr><td>${dayWords(daysAgo, nowMillis)}</td><td class="number">${reviews}</td>
<td class="number">${minutes(millis)}</td></tr>
`)}</tbody>
</table></div>
</details>`;
}

function dayWords(daysAgo: number, nowMillis: number): Html {
  if (daysAgo === 0) return html`today`;
  return daysAgo === 1 ? html`yesterday` : html`${daysAgo} days ago, about ${day(nowMillis - daysAgo * DAY_MILLIS)}`;
}
