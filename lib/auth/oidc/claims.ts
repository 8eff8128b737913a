import { loginNameOrNull } from '../login-names.ts';
import type { OidcClaims, OidcSettings } from './settings.ts';

/** Who a person is, or why not: words for the person, and a reason for the log, which holds no secret. */
export type Verdict = { loginName: string } | { words: string; reason: string };

/** Which claims the settings look at: where one of them is not in the ID token, the userinfo endpoint is asked. */
export function wantedClaims(settings: OidcSettings): string[] {
  const { allowedGroups, allowedDomains, requiredClaims, trustEmail } = settings;
  const email = trustEmail ? ['email'] : ['email', 'email_verified'];
  return [
    ...(settings.loginName !== undefined ? [] : settings.claim === 'email' ? email : [settings.claim ?? 'preferred_username']),
    ...(allowedGroups === undefined ? [] : [settings.groupsClaim]),
    ...(allowedDomains === undefined ? [] : isGoogle(settings) ? ['hd'] : email),
    ...requiredClaims.keys(),
  ];
}

/** By a name as it is (`https://example.org/groups`), or a way into objects (`realm_access.roles`). */
export function claimAt(claims: OidcClaims, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  let value: unknown = claims;
  for (const part of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return value;
}

/** Whether a person may sign in, and as whom. Whatever is missing is no. */
export function judgedClaims(settings: OidcSettings, claims: OidcClaims): Verdict {
  const no = (words: string, reason: string): Verdict => ({ words: `Your account at ${settings.name} ${words}`, reason: `${settings.id}: ${reason}` });

  for (const [name, wanted] of settings.requiredClaims) {
    const value = claimAt(claims, name);
    if (!(Array.isArray(value) ? value : [value]).some((each) => wanted.includes(each))) {
      return no('may not sign in here.', value === undefined ? `the claim ${name} is missing` : `the claim ${name} is none of the required ones`);
    }
  }
  if (settings.acrValues !== undefined && !settings.acrValues.includes(String(claims.acr))) {
    return no('was not signed in in the way that is required here.', 'the claim acr is none of acrValues');
  }
  const { allowedGroups, allowedDomains } = settings;
  if (allowedGroups !== undefined) {
    const groups = claimAt(claims, settings.groupsClaim);
    if (groups === undefined) return no('may not sign in here.', noGroups(settings, claims));
    if (!(Array.isArray(groups) ? groups : [groups]).some((group) => allowedGroups.includes(group))) {
      return no('is in none of the groups that may sign in here.', 'in none of allowedGroups');
    }
  }
  if (allowedDomains !== undefined) {
    const domain = domainOf(settings, claims);
    if (domain === undefined) {
      return no('has no confirmed e-mail address.', isGoogle(settings) ? 'the claim hd is missing: no account of a domain' : 'no verified email for allowedDomains');
    }
    if (!allowedDomains.includes(domain)) return no('belongs to a domain that may not sign in here.', 'the domain is none of allowedDomains');
  }
  return nameFrom(settings, claims, no);
}

function nameFrom(settings: OidcSettings, claims: OidcClaims, no: (words: string, reason: string) => Verdict): Verdict {
  const words = 'has no user name that could be used here.';
  let name: unknown;
  if (settings.loginName !== undefined) {
    name = settings.loginName(claims);
    if (name === null) return no('may not sign in here.', 'loginName() answered null');
    if (typeof name !== 'string') return no(words, 'loginName() answered no text');
  } else if (settings.claim === undefined) {
    name = isText(claims.preferred_username) ? claims.preferred_username : verifiedEmail(settings, claims);
    if (name === undefined) return no(words, 'neither preferred_username nor a verified email: set claim');
  } else {
    name = settings.claim === 'email' ? verifiedEmail(settings, claims) : claimAt(claims, settings.claim);
    if (name === undefined && settings.claim === 'email' && isText(claims.email)) {
      return no('has no confirmed e-mail address.', 'the email is not verified (dangerouslyTrustEmail)');
    }
    // a number may be a person, too: an employee's
    if (typeof name === 'number') name = String(name);
    if (!isText(name)) return no(words, `the claim ${settings.claim} is ${name === undefined ? 'missing' : 'no text'}`);
  }
  const loginName = loginNameOrNull(name as string);
  return loginName === null ? no(words, 'the name cannot be a user name: empty, too long, or with control characters') : { loginName };
}

function verifiedEmail(settings: OidcSettings, claims: OidcClaims): string | undefined {
  // some send a text
  const verified = settings.trustEmail || claims.email_verified === true || claims.email_verified === 'true';
  return verified && isText(claims.email) ? claims.email : undefined;
}

function domainOf(settings: OidcSettings, claims: OidcClaims): string | undefined {
  // at Google, anybody may have a private account under an address of a domain; `hd` are those that the domain manages
  if (isGoogle(settings)) return isText(claims.hd) ? claims.hd.toLowerCase() : undefined;
  const email = verifiedEmail(settings, claims);
  return email?.includes('@') === true ? email.slice(email.lastIndexOf('@') + 1).toLowerCase() : undefined;
}

function isGoogle({ issuer }: OidcSettings): boolean {
  return issuer.hostname === 'accounts.google.com';
}

/** Entra ID leaves the groups out when a person has more than 200. */
function noGroups({ groupsClaim }: OidcSettings, claims: OidcClaims): string {
  const elsewhere = claims._claim_names;
  if (typeof elsewhere === 'object' && elsewhere !== null && Object.hasOwn(elsewhere, groupsClaim)) {
    return `too many groups for the token: the claim ${groupsClaim} was left out by the provider; use roles, or groups assigned to the application`;
  }
  return `the claim ${groupsClaim} is missing: the provider has to be told to send it, or a scope asks for it`;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}
