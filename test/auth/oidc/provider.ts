/** A real provider of OpenID Connect (oidc-provider) on 127.0.0.1, with a login page, people in groups, and faults on demand. */
import { generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Provider, type ClientMetadata, type Configuration } from 'oidc-provider';

export interface Person {
  sub: string;
  password: string;
  claims: Record<string, unknown>;
}

const person = (sub: string, password: string, claims: Record<string, unknown>): Person => ({ sub, password, claims });

/** By what is typed on the provider's page. `eve` is another person who calls herself ada. */
export const PEOPLE: Record<string, Person> = {
  ada: person('subject-ada-1', 'canary-oidc-ada', { preferred_username: 'ada', email: 'ada@example.org', email_verified: true, groups: ['learners', 'staff'] }),
  bob: person('subject-bob-2', 'canary-oidc-bob', { preferred_username: 'bob', email: 'bob@example.org', email_verified: false, groups: ['guests'] }),
  eve: person('subject-eve-3', 'canary-oidc-eve', { preferred_username: 'ada', email: 'eve@elsewhere.example', email_verified: true, groups: ['learners'] }),
  mail: person('subject-mail-4', 'canary-oidc-mail', { email: 'mail@example.org', email_verified: true, realm_access: { roles: ['learners'] } }),
  nobody: person('subject-none-5', 'canary-oidc-none', {}),
};

export const CLIENT = { id: 'anki-sync', secret: 'canary-client-secret-7731' };
export const PUBLIC_CLIENT = 'anki-sync-public';

const CLAIMS = ['preferred_username', 'name', 'email', 'email_verified', 'groups', 'realm_access', 'department', 'hd'];

/** What a fault changes in the answer of the token endpoint. */
export interface TokenFault {
  /** Of the ID token, before it is signed with the provider's key (or another). */
  claims?: (claims: Record<string, unknown>) => Record<string, unknown>;
  otherKey?: boolean;
}

export class RealProvider {
  readonly issuer: string;
  readonly port: number;
  /** Whether the claims are in the ID token, or only at the userinfo endpoint. */
  readonly #inIdToken: boolean;
  readonly #key: KeyObject;
  readonly #otherKey: KeyObject;
  readonly #keys = [randomBytes(16).toString('hex')];
  #server: Server;
  #provider!: Provider;
  /** Another discovery document. */
  metadata: ((document: Record<string, unknown>) => Record<string, unknown>) | undefined;
  tokenFault: TokenFault | undefined;
  /** Other claims at the userinfo endpoint. */
  userinfo: ((claims: Record<string, unknown>) => Record<string, unknown>) | undefined;
  /** Paths that answer nothing. */
  hanging: string | undefined;
  /** Paths that were asked for, with the number of times. */
  readonly asked = new Map<string, number>();
  /** How the client showed its secret last. */
  authentication: 'basic' | 'post' | undefined;
  /** Everything that must be in no log: codes, tokens. */
  readonly secrets: string[] = [CLIENT.secret, ...Object.values(PEOPLE).map(({ password }) => password)];

  private constructor(server: Server, inIdToken: boolean) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
    this.issuer = `http://127.0.0.1:${this.port}`;
    this.#inIdToken = inIdToken;
    this.#key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
    this.#otherKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  }

  /** Knows the two clients above, whose way back is `redirectUris`; see `register`. */
  static async start(redirectUris: string[], options: { inIdToken?: boolean } = {}): Promise<RealProvider> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const provider = new RealProvider(server, options.inIdToken ?? true);
    provider.register(redirectUris);
    server.on('request', (req, res) => void provider.#answer(req, res));
    return provider;
  }

  /** Starts anew with other ways back (and after them, ways out): for servers that are there only later. */
  register(redirectUris: string[], logoutUris: string[] = []): void {
    const common = { redirect_uris: redirectUris, post_logout_redirect_uris: logoutUris, response_types: ['code'], grant_types: ['authorization_code'] } as const;
    const clients: ClientMetadata[] = [
      { ...common, client_id: CLIENT.id, client_secret: CLIENT.secret } as unknown as ClientMetadata,
      { ...common, client_id: PUBLIC_CLIENT, token_endpoint_auth_method: 'none' } as unknown as ClientMetadata,
    ];
    this.#provider = new Provider(this.issuer, this.#configuration(clients));
    this.#provider.use(async (ctx, next) => {
      await next();
      this.#remember(ctx.response.get('location'));
      if (ctx.path === '/.well-known/openid-configuration' && this.metadata !== undefined) ctx.body = this.metadata(ctx.body as Record<string, unknown>);
      if (ctx.path === '/me' && this.userinfo !== undefined) ctx.body = this.userinfo(ctx.body as Record<string, unknown>);
      if (ctx.path === '/token') ctx.body = this.#tokens(ctx.body as Record<string, unknown>);
    });
  }

  /** No process at this address; what it knew stays. */
  async down(): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  async up(): Promise<void> {
    this.#server.listen(this.port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  async close(): Promise<void> {
    if (this.#server.listening) await this.down();
  }

  #configuration(clients: ClientMetadata[]): Configuration {
    return {
      adapter: adapter(),
      clients,
      cookies: { keys: this.#keys },
      jwks: { keys: [{ ...this.#key.export({ format: 'jwk' }), alg: 'RS256', use: 'sig', kid: 'key' }] } as NonNullable<Configuration['jwks']>,
      claims: { openid: ['sub'], profile: ['preferred_username', 'name', 'realm_access', 'department', 'hd'], email: ['email', 'email_verified'], groups: ['groups'], acr: null },
      acrValues: ['urn:example:two-factor'],
      conformIdTokenClaims: !this.#inIdToken,
      pkce: { required: () => true },
      ttl: { AccessToken: 600, AuthorizationCode: 60, IdToken: 600, Interaction: 600, Session: 600, Grant: 600 },
      features: { devInteractions: { enabled: false }, rpInitiatedLogout: { enabled: true, logoutSource: async (ctx, form) => void (ctx.body = logoutPage(form)), postLogoutSuccessSource: async (ctx) => void (ctx.body = 'signed out') } },
      interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
      findAccount: (_ctx, sub) => {
        const found = Object.values(PEOPLE).find((each) => each.sub === sub);
        return found === undefined ? undefined : { accountId: sub, claims: () => ({ sub, ...found.claims }) };
      },
      // nobody is asked for consent
      loadExistingGrant: async (ctx) => {
        const { Grant } = ctx.oidc.provider;
        const grant = new Grant({ accountId: ctx.oidc.session!.accountId!, clientId: ctx.oidc.client!.clientId });
        grant.addOIDCScope('openid profile email groups');
        grant.addOIDCClaims(CLAIMS);
        await grant.save();
        return grant;
      },
      renderError: (ctx, out) => void (ctx.body = { error: out.error, error_description: out.error_description }),
    };
  }

  #remember(location: string): void {
    const code = URL.canParse(location) ? new URL(location).searchParams.get('code') : null;
    if (code !== null) this.secrets.push(code);
  }

  async #answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const { pathname } = new URL(req.url ?? '/', this.issuer);
    this.asked.set(pathname, (this.asked.get(pathname) ?? 0) + 1);
    if (pathname === '/token') this.authentication = req.headers.authorization === undefined ? 'post' : 'basic';
    if (this.hanging !== undefined && pathname.startsWith(this.hanging)) return;
    try {
      if (pathname.startsWith('/interaction/')) await this.#interaction(req, res);
      else await this.#provider.callback()(req, res);
    } catch (error) {
      res.writeHead(500).end(String(error));
    }
  }

  /** The login page. "Cancel" is there too. */
  async #interaction(req: IncomingMessage, res: ServerResponse): Promise<void> {
    await this.#provider.interactionDetails(req, res);
    if (req.method !== 'POST') {
      res.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(LOGIN_PAGE);
      return;
    }
    let body = '';
    for await (const part of req) body += String(part);
    const form = new URLSearchParams(body);
    if (form.has('cancel')) {
      await this.#provider.interactionFinished(req, res, { error: 'access_denied', error_description: 'the person said no' }, { mergeWithLastSubmission: false });
      return;
    }
    const found = PEOPLE[form.get('user') ?? ''];
    if (found === undefined || found.password !== form.get('password')) {
      res.writeHead(403, { 'content-type': 'text/html; charset=utf-8' }).end(LOGIN_PAGE);
      return;
    }
    const acr = form.has('second') ? { acr: 'urn:example:two-factor' } : {};
    await this.#provider.interactionFinished(req, res, { login: { accountId: found.sub, ...acr } }, { mergeWithLastSubmission: false });
  }

  #tokens(body: Record<string, unknown>): Record<string, unknown> {
    if (typeof body.id_token !== 'string') return body;
    let idToken = body.id_token;
    if (this.tokenFault !== undefined) {
      const claims = JSON.parse(Buffer.from(idToken.split('.')[1]!, 'base64url').toString()) as Record<string, unknown>;
      idToken = this.#signed(this.tokenFault.claims?.(claims) ?? claims, this.tokenFault.otherKey === true ? this.#otherKey : this.#key);
    }
    this.secrets.push(idToken, String(body.access_token));
    return { ...body, id_token: idToken };
  }

  #signed(claims: Record<string, unknown>, key: KeyObject): string {
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const text = `${part({ alg: 'RS256', typ: 'JWT', kid: 'key' })}.${part(claims)}`;
    return `${text}.${sign('RSA-SHA256', Buffer.from(text), key).toString('base64url')}`;
  }
}

const LOGIN_PAGE = `<!doctype html><title>Example Ltd: sign in</title><form method="post">
<label>User <input name="user" autofocus></label> <label>Password <input name="password" type="password"></label>
<label><input type="checkbox" name="second"> second factor</label>
<button type="submit">Sign in</button> <button type="submit" name="cancel" value="1">Cancel</button></form>`;

/** The form's own id is `op.logoutForm`; `logout` says yes. */
function logoutPage(form: string): string {
  return `<!doctype html><title>Example Ltd: sign out</title>${form}<button type="submit" form="op.logoutForm" name="logout" value="yes">Sign out</button>`;
}

/** The provider's memory: its own default one warns on each start. */
function adapter(): NonNullable<Configuration['adapter']> {
  const all = new Map<string, Record<string, unknown>>();
  return (model: string) => {
    const key = (id: string): string => `${model}:${id}`;
    return {
      async upsert(id: string, payload: object) {
        all.set(key(id), payload as Record<string, unknown>);
      },
      async find(id: string) {
        return all.get(key(id));
      },
      async findByUid(uid: string) {
        return [...all].find(([each, payload]) => each.startsWith(`${model}:`) && payload.uid === uid)?.[1];
      },
      async findByUserCode() {
        return undefined;
      },
      async consume(id: string) {
        all.get(key(id))!.consumed = Math.floor(Date.now() / 1000);
      },
      async destroy(id: string) {
        all.delete(key(id));
      },
      async revokeByGrantId(grantId: string) {
        for (const [each, payload] of all) if (payload.grantId === grantId) all.delete(each);
      },
    };
  };
}
