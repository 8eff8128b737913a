/** The page at `GET <mount>/`: which URL to enter in which Anki client. No scripts, nothing from elsewhere. */
import { createHash } from 'node:crypto';
import { SyncError } from './errors.ts';
import { headerOf, type HttpRequest, type HttpResponse } from './http.ts';
import type { CheckedOptions } from './options.ts';

const STYLE = `
:root { color-scheme: light dark; --ink: #1c2430; --quiet: #55606f; --paper: #fbfcfd; --card: #fff; --line: #d5dce4; --accent: #14588f; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8edf3; --quiet: #a9b4c1; --paper: #14181d; --card: #1c2229; --line: #37414d; --accent: #8cc4f5; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1.0625rem/1.55 system-ui, sans-serif; }
main { max-width: 42rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.15rem; margin: 0 0 .25rem; }
p, ol { margin: .5rem 0; }
ol { padding-left: 1.4rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1rem 1.25rem; margin: 1rem 0; }
.url { display: block; font: 600 1.1rem/1.4 ui-monospace, monospace; color: var(--accent); border: 2px solid var(--accent);
  border-radius: .6rem; padding: .8rem 1rem; margin: 1rem 0; overflow-wrap: anywhere; user-select: all; }
a { color: var(--accent); }
.quiet { color: var(--quiet); font-size: .95rem; }
`;

/** Headers of the answer, beside its length. The one inline style is allowed by its hash, everything else is not. */
export const landingPageHeaders: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy':
    `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-cache',
};

/** @throws SyncError PATH_UNKNOWN where it is switched off */
export function landing(http: HttpRequest, options: CheckedOptions): HttpResponse {
  if (!options.landingPage) throw new SyncError('PATH_UNKNOWN', 'nothing here');
  const baseUrl = options.publicUrl ?? `${http.scheme ?? 'http'}://${headerOf(http, 'host') ?? 'localhost'}${http.mountPath ?? ''}`;
  const body = Buffer.from(landingPage({ baseUrl, hasAccountPage: options.account !== undefined }));
  return { status: 200, headers: { ...landingPageHeaders, 'content-length': String(body.length) }, body };
}

export interface LandingPage {
  /** Scheme, host and mount path as the client sees them; the page shows it with one slash at its end. */
  baseUrl: string;
  /** Links to `account` below it. */
  hasAccountPage?: boolean;
}

/** A whole HTML document. `baseUrl` may come from a Host header: it is escaped. */
export function landingPage({ baseUrl, hasAccountPage = false }: LandingPage): string {
  const url = escapeHtml(`${baseUrl.replace(/\/+$/, '')}/`);
  const secure = baseUrl.startsWith('https:');
  const onlyHere = /^https?:\/\/(localhost|127\.[\d.]+|\[::1\])(:\d+)?(\/|$)/i.test(baseUrl);
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>Anki sync server</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>This is an Anki sync server, and it is running.</h1>
<p>Enter this address in your Anki, then sync:</p>
<code class="url">${url}</code>
${onlyHere ? `<p class="quiet">This address works on this computer only. On another device, enter this computer's name or network address instead,
and start the server with <code>--host 0.0.0.0</code>, or put it behind a proxy with https.</p>\n` : ''}<section>
<h2>Anki on a computer <span class="quiet">(2.1.57 or newer)</span></h2>
<ol>
<li>Open <b>Tools › Preferences › Syncing</b> (on a Mac: <b>Anki › Settings › Syncing</b>).</li>
<li>Enter the address in <b>Self-hosted sync server</b>, close the window and restart Anki.</li>
<li>Press <b>Sync</b> and log in.</li>
</ol>
</section>
<section>
<h2>AnkiDroid <span class="quiet">(2.16 or newer)</span></h2>
<ol>
<li>Open <b>Settings › Sync › Custom sync server</b>.</li>
<li>Enter the address in <b>Sync url</b>, and switch the custom server on.</li>
<li>Go back to <b>Sync</b> and log in under <b>AnkiWeb account</b>.</li>
</ol>
${secure ? '<p class="quiet">With a certificate of your own, enter it in <b>Custom root certificate (PEM)</b>.</p>\n' : ''}</section>
<section>
<h2>AnkiMobile <span class="quiet">(iPhone, iPad)</span></h2>
<ol>
<li>Open Anki's <b>Settings › Syncing</b> and enter the address as the custom sync server.</li>
<li>Go back, press <b>Synchronize</b> and log in.</li>
</ol>
<p class="quiet">If it cannot reach a server in your own network: in the settings of iOS, under Anki, switch <b>Local Network</b> off and on again.</p>
</section>
<p>User name and password are those of <b>this server</b>, even where Anki says “AnkiWeb”. Whoever runs the server can give you yours.</p>
<p class="quiet">This page opens, and Anki shows an error all the same? Whoever runs the server finds out why with <code>anki-sync doctor</code> and
the address above.</p>
${hasAccountPage ? `<p><a href="${url}account">Your account</a>: app passwords, devices, numbers, and a copy of your cards.</p>\n` : ''}${secure ? '' : '<p class="quiet">This connection is not encrypted. Outside of your own network, use an https address.</p>\n'}</main>
</body>
</html>
`;
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;').replaceAll("'", '&#39;');
}
