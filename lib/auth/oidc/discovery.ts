import { setTimeout as sleep } from 'node:timers/promises';
import type { Configuration } from 'openid-client';
import { failureOf } from './failure.ts';
import { loadOidcLibrary, type OidcLibrary } from './library.ts';
import { OidcError } from './oidc.ts';
import { isThisMachine, type OidcSettings } from './settings.ts';

/** Endpoints move rarely; keys are looked up by the library when one is not known. */
const HOLDS_MILLIS = 12 * 60 * 60_000;
const ATTEMPTS = 2;
const AGAIN_MILLIS = 300;
/** After a failure, whoever comes is told so at once: a provider that is coming up is not held down by those who wait. */
const REST_MILLIS = 3_000;

export interface Discovered {
  library: OidcLibrary;
  configuration: Configuration;
}

/**
 * What a provider says about itself, asked for when somebody wants to sign in, and kept. One question at a time, however many wait. What is
 * known goes on being used when it is old and the provider does not answer.
 */
export class Discovery {
  readonly #settings: OidcSettings;
  readonly #now: () => number;
  #known: Discovered | undefined;
  #askAgainMillis = -Infinity;
  #failure: OidcError | undefined;
  #asking: Promise<Discovered> | undefined;

  /** @param now milliseconds of a clock that never goes back */
  constructor(settings: OidcSettings, now: () => number = () => performance.now()) {
    this.#settings = settings;
    this.#now = now;
  }

  /** @throws OidcError unavailable */
  async get(): Promise<Discovered> {
    if (this.#now() < this.#askAgainMillis) {
      if (this.#known !== undefined) return this.#known;
      if (this.#failure !== undefined) throw this.#failure;
    }
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #ask(): Promise<Discovered> {
    try {
      this.#known = await this.#attempts();
      this.#askAgainMillis = this.#now() + HOLDS_MILLIS;
      return this.#known;
    } catch (error) {
      this.#failure = failureOf(error, this.#settings, []);
      this.#askAgainMillis = this.#now() + REST_MILLIS;
      if (this.#known !== undefined) return this.#known;
      throw this.#failure;
    }
  }

  async #attempts(): Promise<Discovered> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await discovered(this.#settings);
      } catch (error) {
        // one that answers, but wrongly, will answer so again
        if (attempt === ATTEMPTS || error instanceof OidcError || isAnAnswer(error)) throw error;
        await sleep(AGAIN_MILLIS);
      }
    }
  }
}

function isAnAnswer(error: unknown): boolean {
  const code = (error as { code?: string }).code ?? '';
  if (code === 'OAUTH_RESPONSE_IS_NOT_CONFORM') return ((error as { cause?: { status?: number } }).cause?.status ?? 500) < 500;
  return /^OAUTH_/.test(code) && code !== 'OAUTH_TIMEOUT';
}

async function discovered(settings: OidcSettings): Promise<Discovered> {
  const library = await loadOidcLibrary();
  const { issuer, clientId, clientSecret, clockToleranceSecs } = settings;
  const plain = issuer.protocol === 'http:' && isThisMachine(issuer.hostname);
  let configuration: Configuration;
  try {
    configuration = await library.discovery(
      issuer,
      clientId,
      { ...(clientSecret === undefined ? {} : { client_secret: clientSecret }), [library.clockTolerance]: clockToleranceSecs },
      // the method is known with the answer
      (as, client, body, headers) => authentication(settings, library, as.token_endpoint_auth_methods_supported)(as, client, body, headers),
      { timeout: settings.timeoutMillis / 1000, execute: [...(plain ? [library.allowInsecureRequests] : []), library.enableNonRepudiationChecks] },
    );
  } catch (error) {
    throw isAnotherIssuer(error) ? anotherIssuer(settings, (error as { cause?: { body?: { issuer?: unknown } } }).cause?.body?.issuer) : error;
  }
  // the library takes any tenant of Entra ID
  const itself = configuration.serverMetadata().issuer;
  if (!URL.canParse(itself) || new URL(itself).href !== issuer.href) throw anotherIssuer(settings, itself);
  return { library, configuration };
}

function authentication(settings: OidcSettings, library: OidcLibrary, supported: readonly string[] | undefined) {
  if (settings.clientSecret === undefined) return library.None();
  // left out, the specification means basic
  const basic = settings.clientAuthentication === undefined
    ? supported === undefined || supported.includes('client_secret_basic') || !supported.includes('client_secret_post')
    : settings.clientAuthentication === 'basic';
  return basic ? library.ClientSecretBasic(settings.clientSecret) : library.ClientSecretPost(settings.clientSecret);
}

function isAnotherIssuer(error: unknown): boolean {
  return (error as { code?: string }).code === 'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED';
}

function anotherIssuer(settings: OidcSettings, itself: unknown): OidcError {
  const name = typeof itself === 'string' ? itself.slice(0, 200) : 'nothing';
  return new OidcError('unavailable', `Signing in through ${settings.name} is not possible now. Please try again later.`, {
    detail: `${settings.id}: the provider at ${settings.issuer.href} calls itself ${JSON.stringify(name)}: set issuer to what it calls itself, if that is yours`,
  });
}
