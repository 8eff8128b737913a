import type { IssuedKey } from '../../auth/host-keys.ts';
import { deviceName } from '../../auth/device-name.ts';
import type { Form } from '../forms.ts';
import { count, moment } from '../formats.ts';
import { html, type Html } from '../html.ts';
import { csrfField } from '../layout.ts';
import type { AccountRoom, Page, Redirect, SignedInVisit } from '../room.ts';
import { signedIn } from './sign-in.ts';

export async function devicesPage(room: AccountRoom, visit: SignedInVisit): Promise<Page> {
  const { user } = visit.session;
  const devices = (await room.hostKeys.list(user.id)).sort((a, b) => lastSeenSecs(b) - lastSeenSecs(a));
  const names = new Map(((await room.appPasswords?.list(user.id)) ?? []).map(({ id, name }) => [id, name]));
  return {
    title: 'Devices',
    body: html`<p>Each sign-in of an Anki is a device. One that is signed out here cannot sync any more until somebody enters a password there again. Its cards stay on it.</p>
<section aria-labelledby="all">
<h2 id="all">Signed in to your account</h2>
${devices.length === 0 ? html`<p>No device is signed in.</p>` : html`<div class="scroll"><table>
<thead><tr><th scope="col">Device</th><th scope="col">Last sync</th><th scope="col">Address</th><th scope="col">Signed in</th><td></td></tr></thead>
<tbody>
${devices.map((device) => rowOf(visit, device, names.get(device.appPasswordId ?? '')))}</tbody>
</table></div>`}
<form method="post" action="${visit.home}/devices/revoke-all">${csrfField(visit)}<button class="danger">Sign out all devices</button></form>
<p class="quiet">Also signs out other browsers from this page, and devices that are not listed, of a server before this one.</p>
</section>
`,
  };
}

function lastSeenSecs({ lastSyncSecs, issuedSecs }: IssuedKey): number {
  return lastSyncSecs ?? issuedSecs;
}

function rowOf(visit: SignedInVisit, { keyId, client, address, issuedSecs, lastSyncSecs }: IssuedKey, appPassword: string | undefined): Html {
  const name = deviceName(client);
  return html`<tr><th scope="row">${name}${appPassword !== undefined && html`<br><span class="quiet">by app password “<bdi>${appPassword}</bdi>”</span>`}</th>
<td>${lastSyncSecs === undefined ? 'never' : moment(lastSyncSecs * 1000)}</td><td>${address ?? 'unknown'}</td><td>${moment(issuedSecs * 1000)}</td>
<td><form method="post" action="${visit.home}/devices/revoke">${csrfField(visit)}<input type="hidden" name="id" value="${keyId}">
<button class="danger" aria-label="Sign out ${name}">Sign out</button></form></td></tr>
`;
}

export async function revokeDevice(room: AccountRoom, visit: SignedInVisit, form: Form): Promise<Redirect> {
  const id = form.text('id');
  const ended = id === '' ? 0 : await room.hostKeys.revoke(visit.session.user.id, id);
  return {
    goTo: 'devices',
    notice: ended > 0
      ? { kind: 'done', words: html`<p>The device is signed out.</p>` }
      : { kind: 'failed', words: html`<p>There is no such device any more.</p>` },
  };
}

/** Browsers are signed out with the devices: this one gets a new session. */
export async function revokeDevices(room: AccountRoom, visit: SignedInVisit): Promise<Redirect> {
  const { user, via, signedInSecs } = visit.session;
  const ended = await room.hostKeys.revoke(user.id);
  await room.sessions.endAll(user.id);
  const { cookie } = await signedIn(room, visit, user, via, signedInSecs);
  return { goTo: 'devices', cookie: cookie!, notice: { kind: 'done', words: html`<p>${count(ended, 'device')} signed out.</p>` } };
}
