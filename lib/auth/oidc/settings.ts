import { hint } from '../../spelling.ts';

/** What a provider says about a person: the ID token, and what its userinfo endpoint adds. */
export type OidcClaims = Readonly<Record<string, unknown>>;

export interface OidcOptions {
  /** In paths: `account/oidc/<id>`. Lower-case letters, digits and hyphens. Default `oidc`, for one provider alone. */
  id?: string;
  /** On the button. Default: the host of the issuer. */
  name?: string;
  /** Exactly as the provider calls itself: `https://login.example.org/realms/example`. */
  issuer: string;
  clientId: string;
  /** Left out, this is a public client: PKCE alone protects the code. */
  clientSecret?: string;
  /** How the secret is sent. Default: `basic` where the provider takes it, else `post`. */
  clientAuthentication?: 'basic' | 'post';
  /** Default `['openid', 'profile', 'email']`. */
  scopes?: readonly string[];
  /** The claim that becomes the user name at the first sign-in. Default: `preferred_username`, or else a verified `email`. */
  claim?: string;
  /** In place of `claim`: makes the user name, or null for a person who may not sign in. */
  loginName?: (claims: OidcClaims) => string | null;
  /** Who may sign in: members of one of these. Default: everybody whom the provider lets through. */
  allowedGroups?: readonly string[];
  /** Where the groups are: `groups`, `roles`, or a way into objects: `realm_access.roles`. Default `groups`. */
  groupsClaim?: string;
  /** Who may sign in: people with a verified address in one of these domains; at Google, accounts that the domain manages. */
  allowedDomains?: readonly string[];
  /** What else has to be so, all of it: `{ department: 'languages' }`. A list means one of its values. */
  requiredClaims?: Readonly<Record<string, string | number | boolean | readonly (string | number | boolean)[]>>;
  /** Believes an `email` that the provider does not call verified. Only where people cannot choose it themselves. */
  dangerouslyTrustEmail?: boolean;
  /**
   * Whether people may take over the user of their name who is there already, with a password or from a directory. Default false: they
   * are refused. Only for a provider that gives each name to the person whose it is here.
   */
  linkExistingUsers?: boolean;
  /** Days after the last sign-in through a provider until app passwords and host keys rest, until the next one. Default: never. */
  reloginDays?: number;
  /** Sent as it is: `login`, `select_account`, `consent`. */
  prompt?: string;
  /** The provider has to have signed the person in that recently, seconds. */
  maxAgeSecs?: number;
  /** How the person has to have signed in: one of these `acr` values. Asked for, and required of the answer. */
  acrValues?: readonly string[];
  /** More for the address of the provider's page: `{ kc_idp_hint: 'school' }`. */
  extraParameters?: Readonly<Record<string, string>>;
  /** For each question to the provider, milliseconds. Default 5000. */
  timeoutMillis?: number;
  /** How far the provider's clock may be from ours, seconds. Default 30. */
  clockToleranceSecs?: number;
}

export interface OidcSettings {
  id: string;
  name: string;
  issuer: URL;
  clientId: string;
  clientSecret: string | undefined;
  clientAuthentication: 'basic' | 'post' | undefined;
  scope: string;
  claim: string | undefined;
  loginName: ((claims: OidcClaims) => string | null) | undefined;
  allowedGroups: readonly string[] | undefined;
  groupsClaim: string;
  /** In lower case. */
  allowedDomains: readonly string[] | undefined;
  requiredClaims: ReadonlyMap<string, readonly (string | number | boolean)[]>;
  trustEmail: boolean;
  linkExistingUsers: boolean;
  reloginDays: number | undefined;
  prompt: string | undefined;
  maxAgeSecs: number | undefined;
  acrValues: readonly string[] | undefined;
  extraParameters: Readonly<Record<string, string>>;
  timeoutMillis: number;
  clockToleranceSecs: number;
}

const KNOWN: Record<keyof OidcOptions, true> = {
  id: true,
  name: true,
  issuer: true,
  clientId: true,
  clientSecret: true,
  clientAuthentication: true,
  scopes: true,
  claim: true,
  loginName: true,
  allowedGroups: true,
  groupsClaim: true,
  allowedDomains: true,
  requiredClaims: true,
  dangerouslyTrustEmail: true,
  linkExistingUsers: true,
  reloginDays: true,
  prompt: true,
  maxAgeSecs: true,
  acrValues: true,
  extraParameters: true,
  timeoutMillis: true,
  clockToleranceSecs: true,
};

/** What begin() sends itself. */
const OUR_PARAMETERS = ['client_id', 'redirect_uri', 'response_type', 'response_mode', 'scope', 'state', 'nonce', 'code_challenge', 'code_challenge_method',
  'prompt', 'max_age', 'acr_values', 'login_hint', 'request', 'request_uri', 'client_secret'];

/** @throws TypeError that names the option, and never repeats the secret */
export function checkOidcOptions(providers: readonly OidcOptions[]): OidcSettings[] {
  if (!Array.isArray(providers)) throw new TypeError('OIDC: the option is a list of providers');
  const all = providers.map((options) => checkProvider(options, providers.length));
  for (const [index, { id }] of all.entries()) {
    if (all.findIndex((other) => other.id === id) !== index) throw new TypeError(`OIDC: two providers have the id "${id}"`);
  }
  return all;
}

function checkProvider(options: OidcOptions, count: number): OidcSettings {
  if (typeof options !== 'object' || options === null) throw new TypeError('OIDC: a provider is an object with issuer and clientId');
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(KNOWN, name)) throw new TypeError(`unknown OIDC option "${name}".${hint(name, Object.keys(KNOWN))}`);
  }
  if (options.id === undefined && count > 1) throw new TypeError('OIDC: with several providers, each needs an id');
  const id = options.id ?? 'oidc';
  if (typeof id !== 'string' || !/^[a-z0-9](-?[a-z0-9])*$/.test(id) || id.length > 40) {
    throw new TypeError('OIDC: id must be made of lower-case letters, digits and single hyphens, at most 40');
  }
  const issuer = issuerOf(options);
  if (!isText(options.clientId)) throw new TypeError('OIDC: clientId is missing');
  const clientSecret = text(options, 'clientSecret');
  const scopes = list(options, 'scopes') ?? ['openid', 'profile', 'email'];
  if (scopes.some((scope) => /\s/.test(scope))) throw new TypeError('OIDC: scopes is a list, one scope in each element');
  if (options.clientAuthentication !== undefined && !['basic', 'post'].includes(options.clientAuthentication)) {
    throw new TypeError('OIDC: clientAuthentication must be basic or post');
  }
  if (options.clientAuthentication !== undefined && clientSecret === undefined) throw new TypeError('OIDC: clientAuthentication without clientSecret');
  if (options.loginName !== undefined && typeof options.loginName !== 'function') throw new TypeError('OIDC: loginName must be a function');
  if (options.loginName !== undefined && options.claim !== undefined) throw new TypeError('OIDC: give claim or loginName, not both');
  const allowedGroups = list(options, 'allowedGroups');
  if (options.groupsClaim !== undefined && allowedGroups === undefined) throw new TypeError('OIDC: groupsClaim without allowedGroups');
  const reloginDays = number(options, 'reloginDays', 0);
  return {
    id,
    name: text(options, 'name') ?? issuer.host,
    issuer,
    clientId: options.clientId,
    clientSecret,
    clientAuthentication: options.clientAuthentication,
    scope: [...new Set(['openid', ...scopes])].join(' '),
    claim: text(options, 'claim'),
    loginName: options.loginName,
    allowedGroups,
    groupsClaim: text(options, 'groupsClaim') ?? 'groups',
    allowedDomains: domains(options),
    requiredClaims: requiredClaims(options),
    trustEmail: flag(options, 'dangerouslyTrustEmail'),
    linkExistingUsers: flag(options, 'linkExistingUsers'),
    reloginDays: reloginDays === 0 ? undefined : reloginDays,
    prompt: text(options, 'prompt'),
    maxAgeSecs: number(options, 'maxAgeSecs', 0),
    acrValues: list(options, 'acrValues'),
    extraParameters: extraParameters(options),
    timeoutMillis: number(options, 'timeoutMillis', 1) ?? 5000,
    clockToleranceSecs: number(options, 'clockToleranceSecs', 0) ?? 30,
  };
}

function issuerOf({ issuer: given }: OidcOptions): URL {
  if (given === undefined || given === '') throw new TypeError('OIDC: issuer is missing: https://login.example.org');
  const url = isText(given) && URL.canParse(given) ? new URL(given) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw new TypeError('OIDC: issuer must be a URL like https://login.example.org/realms/example');
  // not repeated: it may be a password
  if (url.username !== '' || url.password !== '') throw new TypeError('OIDC: issuer must hold no user name and password');
  if (url.search !== '' || url.hash !== '') throw new TypeError('OIDC: issuer must have no query and no fragment');
  if (url.pathname.includes('/.well-known/')) {
    throw new TypeError(`OIDC: issuer is the address without /.well-known/…: ${url.href.slice(0, url.href.indexOf('/.well-known/'))}`);
  }
  if (url.protocol === 'http:' && !isThisMachine(url.hostname)) {
    throw new TypeError(`OIDC: ${url.href} would send codes and secrets unencrypted: use https (http is for localhost alone)`);
  }
  if (/^\/(common|organizations|consumers)\//.test(url.pathname) && url.hostname === 'login.microsoftonline.com') {
    throw new TypeError('OIDC: an issuer of Entra ID has to name the tenant (https://login.microsoftonline.com/<tenant id>/v2.0): with others, anybody can sign in');
  }
  return url;
}

export function isThisMachine(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function domains(options: OidcOptions): readonly string[] | undefined {
  const given = list(options, 'allowedDomains')?.map((domain) => domain.toLowerCase());
  const wrong = given?.find((domain) => !/^[^\s@*/]+\.[^\s@*/.]+$/.test(domain));
  if (wrong !== undefined) throw new TypeError(`OIDC: allowedDomains must be like example.org, not "${wrong}"`);
  return given;
}

function requiredClaims({ requiredClaims: given }: OidcOptions): OidcSettings['requiredClaims'] {
  const all = new Map<string, readonly (string | number | boolean)[]>();
  if (given === undefined) return all;
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw new TypeError('OIDC: requiredClaims must be an object of claims and values');
  for (const [name, value] of Object.entries(given)) {
    const values = Array.isArray(value) ? value : [value];
    if (values.length === 0 || !values.every((each) => ['string', 'number', 'boolean'].includes(typeof each))) {
      throw new TypeError(`OIDC: requiredClaims: ${name} must be a text, a number, true or false, or a list of these`);
    }
    all.set(name, values);
  }
  return all;
}

function extraParameters({ extraParameters: given = {} }: OidcOptions): Readonly<Record<string, string>> {
  if (typeof given !== 'object' || given === null || !Object.values(given).every((value) => typeof value === 'string')) {
    throw new TypeError('OIDC: extraParameters must be an object of texts');
  }
  const ours = Object.keys(given).find((name) => OUR_PARAMETERS.includes(name));
  if (ours !== undefined) throw new TypeError(`OIDC: extraParameters cannot set ${ours}`);
  return { ...given };
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function text<N extends keyof OidcOptions>(options: OidcOptions, name: N): string | undefined {
  const value: unknown = options[name];
  if (value === undefined) return undefined;
  if (!isText(value)) throw new TypeError(`OIDC: ${name} must be a text, and not an empty one`);
  return value;
}

/** An empty list would let everybody in, or nobody: neither is what somebody means who gives one. */
function list(options: OidcOptions, name: keyof OidcOptions): readonly string[] | undefined {
  const value: unknown = options[name];
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || value.length === 0 || !value.every(isText)) throw new TypeError(`OIDC: ${name} must be a list of texts, and not an empty one`);
  return [...value] as string[];
}

function flag(options: OidcOptions, name: keyof OidcOptions): boolean {
  const value: unknown = options[name];
  if (value !== undefined && typeof value !== 'boolean') throw new TypeError(`OIDC: ${name} must be true or false`);
  return value === true;
}

function number(options: OidcOptions, name: keyof OidcOptions, least: number): number | undefined {
  const value: unknown = options[name];
  if (value === undefined) return undefined;
  if (typeof value !== 'number' || !Number.isFinite(value) || value < least) throw new TypeError(`OIDC: ${name} must be a number from ${least}`);
  return value;
}
