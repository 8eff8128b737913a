/** The step `hostKey`: a user name and a password become a host key. */
import type { BuiltInAuth } from '../auth/built-in.ts';
import type { HostKeys } from '../auth/host-keys.ts';
import { loginEvent } from '../auth/login-event.ts';
import { loginNameOrNull } from '../auth/login-names.ts';
import type { SignIn } from '../auth/sign-in.ts';
import { SyncError } from '../errors.ts';
import type { HttpRequest, HttpResponse } from '../http.ts';
import type { LogEntry } from '../options.ts';
import type { BodyLimits } from '../protocol/body-limits.ts';
import type { FormSpool } from '../protocol/form-spool.ts';
import { readJsonBody } from '../protocol/json-body.ts';
import type { SyncRequest } from '../protocol/request.ts';
import { packedResponse } from '../protocol/response.ts';
import { parseHostKeyRequest } from '../schema/schema11.ts';
import { parseLossless } from '../schema/json.ts';
import { SchemaError } from '../schema/schema-error.ts';

export interface LoginRooms {
  auth: BuiltInAuth;
  signIn: SignIn;
  hostKeys: HostKeys;
  spool: FormSpool;
}

export interface Login {
  request: SyncRequest;
  http: HttpRequest;
  limits: BodyLimits;
  /** The line of the log; told who it was, and how it ended. */
  entry: LogEntry;
  /** Gets what must not stand in the log. */
  secrets: string[];
}

/** @throws SyncError PASSWORD_WRONG, LOGIN_LIMITED, BUSY, AUTH_UNAVAILABLE, BODY_INVALID, BODY_NOT_JSON */
export async function login(rooms: LoginRooms, { request, http, limits, entry, secrets }: Login): Promise<HttpResponse> {
  const { username, password } = typed(await readJsonBody(request, limits));
  secrets.push(password);
  const address = http.clientAddress;
  const from = address === undefined ? {} : { clientAddress: address };
  let key: string;
  try {
    const { user, ...rests } = await rooms.signIn.signedIn({ username, password, ...from }, http.signal);
    entry.user = user.loginName;
    if (rests.appPasswordId !== undefined) entry.detail = `with the app password ${rests.appPasswordId}`;
    key = await rooms.hostKeys.issue(user, { client: request.client, ...(address === undefined ? {} : { address }), ...rests });
  } catch (error) {
    entry.event = loginEvent(error);
    const name = knownName(rooms.auth, username);
    if (name !== undefined) entry.user = name;
    throw error;
  }
  entry.event = 'login.ok';
  rooms.spool.know(address);
  return packedResponse(request.version, JSON.stringify({ key }));
}

function typed(body: Buffer): { username: string; password: string } {
  try {
    return parseHostKeyRequest(parseLossless(body.toString()));
  } catch (error) {
    // the parser's own message would quote the password
    throw error instanceof SchemaError ? new SyncError('BODY_INVALID', error.message) : new SyncError('BODY_NOT_JSON', 'the body is not JSON');
  }
}

/** The login name of a user who is there, whatever was typed; a database that fails is no reason for another error. */
function knownName({ database }: BuiltInAuth, typedName: string): string | undefined {
  const name = loginNameOrNull(typedName);
  try {
    return name === null ? undefined : database.userByLoginName(name)?.login_name;
  } catch {
    return undefined;
  }
}
