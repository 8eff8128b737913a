/** No answer of a directory server, or one that another server might not give: the next one is tried. */
export class DirectoryUnreachable extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'DirectoryUnreachable';
  }
}

/** A directory server answered, and said no. */
export class DirectoryRefusal extends Error {
  /** The result code of RFC 4511, appendix A. */
  readonly code: number;

  constructor(code: number, words: string) {
    super(`result code ${code}${words === '' ? '' : ` (${words})`}`);
    this.name = 'DirectoryRefusal';
    this.code = code;
  }
}

/** The service account may not sign in: nobody's fault but the configuration's. */
export class ServiceAccountRefused extends Error {
  constructor(reason: string) {
    super(`the directory refuses the service account: ${reason}`);
    this.name = 'ServiceAccountRefused';
  }
}

/** Result codes of RFC 4511 that something is decided by. */
export const RESULT = {
  sizeLimitExceeded: 4,
  constraintViolation: 19,
  noSuchObject: 32,
  invalidDnSyntax: 34,
  inappropriateAuthentication: 48,
  invalidCredentials: 49,
  insufficientAccessRights: 50,
  busy: 51,
  unavailable: 52,
  unwillingToPerform: 53,
} as const;

/**
 * What a server says to a person's bind that is about the person, and not about the server: a wrong password, an entry without one, a locked
 * account (19 and 53 by 389 Directory Server), a person who may not use this application (50 by Authentik's outpost).
 */
const ABOUT_THE_PERSON: readonly number[] = [
  RESULT.constraintViolation,
  RESULT.noSuchObject,
  RESULT.invalidDnSyntax,
  RESULT.inappropriateAuthentication,
  RESULT.invalidCredentials,
  RESULT.insufficientAccessRights,
  RESULT.unwillingToPerform,
];

export function isAboutThePerson(error: unknown): error is DirectoryRefusal {
  return error instanceof DirectoryRefusal && ABOUT_THE_PERSON.includes(error.code);
}

const BY_THIS_SERVER_NOW: readonly number[] = [RESULT.busy, RESULT.unavailable];

/** What the LDAP library throws, told apart: it gives a number to answers of the directory, and to nothing else. */
export function directoryError(error: unknown): DirectoryRefusal | DirectoryUnreachable {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const words = oneLine(String(message ?? error));
  if (typeof code !== 'number') return new DirectoryUnreachable(words);
  if (BY_THIS_SERVER_NOW.includes(code)) return new DirectoryUnreachable(`result code ${code} (${words})`);
  return new DirectoryRefusal(code, words);
}

function oneLine(words: string): string {
  return words.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim().slice(0, 300);
}
