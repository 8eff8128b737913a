/** Paths below the account page → what answers them. */
import type { Form } from './forms.ts';
import { createAppPassword, appPasswordsPage, revokeAppPassword } from './pages/app-passwords.ts';
import { collectionPage, downloadCollection } from './pages/collection.ts';
import { deletePage, deleteData } from './pages/delete.ts';
import { devicesPage, revokeDevice, revokeDevices } from './pages/devices.ts';
import { beginOidc, confirmOidc, finishOidc } from './pages/oidc.ts';
import { setUpPage } from './pages/set-up.ts';
import { signIn, signInPage, signOut } from './pages/sign-in.ts';
import { changeUser, userPage } from './pages/user.ts';
import { addUser, usersPage } from './pages/users.ts';
import type { AccountRoom, Reply, SignedInVisit, Visit } from './room.ts';

interface Get<V extends Visit> {
  get(room: AccountRoom, visit: V): Promise<Reply> | Reply;
}

interface Post<V extends Visit> {
  post(room: AccountRoom, visit: V, form: Form): Promise<Reply> | Reply;
}

/** `*` is one segment, whatever it is. */
type Table<V extends Visit> = Readonly<Record<string, Partial<Get<V> & Post<V>>>>;

export const FOR_ANYBODY: Table<Visit> = {
  'sign-in': { get: signInPage, post: signIn },
  'oidc/*': { get: beginOidc },
  'oidc/*/confirm': { get: confirmOidc },
  'oidc/*/callback': { get: finishOidc },
};

export const FOR_USERS: Table<SignedInVisit> = {
  '': { get: setUpPage },
  'sign-out': { post: signOut },
  'app-passwords': { get: appPasswordsPage, post: createAppPassword },
  'app-passwords/revoke': { post: revokeAppPassword },
  devices: { get: devicesPage },
  'devices/revoke': { post: revokeDevice },
  'devices/revoke-all': { post: revokeDevices },
  collection: { get: collectionPage },
  'collection/download': { post: downloadCollection },
  delete: { get: deletePage, post: deleteData },
};

export const FOR_ADMINS: Table<SignedInVisit> = {
  users: { get: usersPage, post: addUser },
  'users/*': { get: userPage },
  'users/*/change': { post: changeUser },
};

/** What a table has for a path. */
export function routeIn<V extends Visit>(table: Table<V>, path: readonly string[]): Partial<Get<V> & Post<V>> | undefined {
  const found = Object.keys(table).find((pattern) => {
    const parts = pattern === '' ? [] : pattern.split('/');
    return parts.length === path.length && parts.every((part, index) => part === '*' || part === path[index]);
  });
  return found === undefined ? undefined : table[found];
}
