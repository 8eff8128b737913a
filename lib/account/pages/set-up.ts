import { html } from '../html.ts';
import type { AccountRoom, Page, SignedInVisit } from '../room.ts';

/** Which address to enter in which Anki, and as whom. */
export function setUpPage({ appPasswords }: AccountRoom, { home, serverUrl, session }: SignedInVisit): Page {
  const isSecure = serverUrl.startsWith('https:');
  const isOnlyHere = /^https?:\/\/(localhost|127\.[\d.]+|\[::1\])(:\d+)?(\/|$)/i.test(serverUrl);
  const password = appPasswords === undefined ? html`your own` : session.via === 'password'
    ? html`the password that you signed in with here, or better an <a href="${home}/app-passwords">app password</a> for each device`
    : html`an <a href="${home}/app-passwords">app password</a>, which you make here for each device`;
  return {
    title: 'Set up Anki',
    body: html`<p>Enter this address in your Anki:</p>
<code class="url" data-copy="the address">${serverUrl}</code>
${isOnlyHere && html`<p class="quiet">This address works on this computer only. On another device, enter this computer's name or network address instead.</p>
`}<dl>
<dt>User name</dt><dd><bdi data-copy="the user name">${session.user.loginName}</bdi></dd>
<dt>Password</dt><dd>${password}</dd>
</dl>
<section aria-labelledby="desktop">
<h2 id="desktop">Anki on a computer <span class="quiet">(2.1.57 or newer)</span></h2>
<ol>
<li>Open <b>Tools › Preferences › Syncing</b> (on a Mac: <b>Anki › Settings › Syncing</b>).</li>
<li>Enter the address in <b>Self-hosted sync server</b>, close the window and restart Anki.</li>
<li>Press <b>Sync</b> and log in.</li>
</ol>
</section>
<section aria-labelledby="ankidroid">
<h2 id="ankidroid">AnkiDroid <span class="quiet">(2.16 or newer)</span></h2>
<ol>
<li>Open <b>Settings › Sync › Custom sync server</b>.</li>
<li>Enter the address in <b>Sync url</b>, and switch the custom server on.</li>
<li>Go back to <b>Sync</b> and log in under <b>AnkiWeb account</b>.</li>
</ol>
</section>
<section aria-labelledby="ankimobile">
<h2 id="ankimobile">AnkiMobile <span class="quiet">(iPhone, iPad)</span></h2>
<ol>
<li>Open Anki's <b>Settings › Syncing</b> and enter the address as the custom sync server.</li>
<li>Go back, press <b>Synchronize</b> and log in.</li>
</ol>
<p class="quiet">If it cannot reach a server in your own network: in the settings of iOS, under Anki, switch <b>Local Network</b> off and on again.</p>
</section>
<p>User name and password are those of <b>this server</b>, even where Anki says “AnkiWeb”.</p>
${!isSecure && html`<p class="quiet">This connection is not encrypted. Outside of your own network, use an https address.</p>
`}`,
  };
}
