import type { Readable } from 'node:stream';
import { openDownload } from '../../backup/download.ts';
import type { Quota } from '../../auth/authenticator.ts';
import type { Overview } from '../../engine/calls.ts';
import { SyncError } from '../../errors.ts';
import { reviewChart } from '../chart.ts';
import { deviceName } from '../../auth/device-name.ts';
import type { Form } from '../forms.ts';
import { bytes, count, moment } from '../formats.ts';
import { html, type Fragment, type Html } from '../html.ts';
import { csrfField } from '../layout.ts';
import { overviewOf, placeOf, type Unknown } from '../overview.ts';
import { PageError } from '../page-error.ts';
import type { AccountRoom, Page, Reply, SignedInVisit } from '../room.ts';

const CHART_DAYS = 42;
const SHOWN_SYNCS = 5;
/** A sync whose client is silent for longer is given up for a copy. */
const PATIENCE_MILLIS = 60_000;

const SYNCING = html`<p>Your collection is syncing now. Please load this page again in a moment.</p>`;
const FAILED = html`<p>Your collection cannot be read. Please tell the administrator of this server, who finds more in its log.</p>`;

export async function collectionPage(room: AccountRoom, visit: SignedInVisit): Promise<Page> {
  const { user } = visit.session;
  const overview = await overviewOf(room, user, CHART_DAYS);
  const quota = await room.quotas.of(user);
  return {
    title: 'Your collection',
    body: html`${figures(overview, quota)}
${await lastSyncs(room, user.id)}
${downloadSection(room, visit, overview)}
<section aria-labelledby="delete">
<h2 id="delete">Delete your data</h2>
<p>Takes your cards and media away from this server. Devices keep theirs.</p>
<p><a class="button plain" href="${visit.home}/delete">Delete your data…</a></p>
</section>
`,
  };
}

function figures(overview: Overview | Unknown, { maxCollectionBytes, maxMediaBytes }: Quota): Html {
  if (overview === 'syncing') return SYNCING;
  if (overview === 'failed') return FAILED;
  const { collection, media } = overview;
  if (collection === undefined) return html`<p>This server cannot show numbers of your collection.</p>`;
  if (collection === null) return html`<p>There are no cards here yet: sync an Anki first.</p>`;
  const known = (number: number | undefined): Fragment => (number === undefined ? 'counted at the next sync' : number.toLocaleString('en'));
  return html`<section aria-labelledby="numbers">
<h2 id="numbers">In numbers</h2>
<dl>
<dt>Cards</dt><dd>${known(collection.cards)}</dd>
<dt>Notes</dt><dd>${known(collection.notes)}</dd>
<dt>Size of the cards</dt><dd>${bytes(collection.bytes)}${ofMost(maxCollectionBytes)}</dd>
${media !== undefined && html`<dt>Media</dt><dd>${count(media.fileCount, 'file')}, ${bytes(media.totalBytes)}${ofMost(maxMediaBytes)}</dd>
`}<dt>Last change</dt><dd>${collection.modifiedMillis === 0 ? 'none yet' : moment(collection.modifiedMillis)}</dd>
</dl>
</section>
<section aria-labelledby="reviews">
<h2 id="reviews">Reviews</h2>
${reviewChart(collection.reviewDays, CHART_DAYS, Date.now())}
</section>`;
}

function ofMost(most: number | undefined): string {
  return most === undefined ? '' : ` of at most ${bytes(most)}`;
}

async function lastSyncs({ hostKeys }: AccountRoom, userId: string): Promise<Html> {
  const syncs = (await hostKeys.list(userId)).filter(({ lastSyncSecs }) => lastSyncSecs !== undefined)
    .sort((a, b) => b.lastSyncSecs! - a.lastSyncSecs!).slice(0, SHOWN_SYNCS);
  return html`<section aria-labelledby="syncs">
<h2 id="syncs">Last syncs</h2>
${syncs.length === 0 ? html`<p>None yet.</p>` : html`<ul>
${syncs.map(({ client, lastSyncSecs }) => html`<li>${moment(lastSyncSecs! * 1000)}: ${deviceName(client)}</li>
`)}</ul>`}
</section>`;
}

function downloadSection({ downloads }: AccountRoom, visit: SignedInVisit, overview: Overview | Unknown): Html | undefined {
  if (downloads === 'none' || typeof overview === 'string' || overview.collection === null) return undefined;
  return html`<section aria-labelledby="download">
<h2 id="download">Download a backup</h2>
<p>A file that Anki opens by <b>File › Import</b>. It replaces all that is in the Anki that opens it: cards, decks and their schedules.</p>
<form method="post" action="${visit.home}/collection/download">
${csrfField(visit)}
${downloads === 'all' && html`<p class="check"><input type="checkbox" id="media" name="media" value="yes" checked><label for="media">With media</label></p>
`}<button>Download</button>
</form>
</section>`;
}

export async function downloadCollection(room: AccountRoom, visit: SignedInVisit, form: Form): Promise<Reply> {
  const { user } = visit.session;
  if (room.downloads === 'none') throw new PageError(404, 'There is nothing to download here.');
  const place = room.downloadPlaces.begin(user.id);
  let stream: Readable | null = null;
  try {
    stream = await openDownload({
      base: room.base,
      user: placeOf(user),
      withMedia: room.downloads === 'all' && form.text('media') === 'yes',
      copyTo: (folder) => room.engine.run({ step: 'copy', user: placeOf(user), to: folder, patienceMillis: PATIENCE_MILLIS }),
    });
  } catch (error) {
    if (error instanceof SyncError && error.code === 'BUSY') {
      throw new PageError(503, 'Your collection is syncing now. Please try again in a moment.', { code: error.code, retryAfterSecs: 10 });
    }
    throw error;
  } finally {
    if (stream === null) place.leave();
  }
  if (stream === null) throw new PageError(404, 'There are no cards here yet.');
  visit.entry.event = 'data.downloaded';
  return {
    status: 200,
    headers: {
      'content-type': 'application/octet-stream',
      'content-disposition': `attachment; filename="collection-${new Date().toISOString().slice(0, 10)}.colpkg"`,
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
    },
    body: place.hold(stream),
  };
}
