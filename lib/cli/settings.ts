/**
 * Flags, environment and configuration file → what `serve` and `user` work with. With none of the official server's variables set, our own defaults
 * hold; with any of them, its defaults for the others, so that an existing unit file or compose file goes on as it was.
 */
import { join, resolve } from 'node:path';
import { DEFAULT_BODY_LIMITS } from '../protocol/body-limits.ts';
import type { AccountOptions } from '../account/settings.ts';
import { accountSettings } from './account-settings.ts';
import { clientAddressSources, type ClientAddressSource } from './client-address.ts';
import { configurationOf, misspelledVariables, type Configuration, type Environment } from './configuration.ts';
import { coreSettings } from './core-settings.ts';
import { hint } from '../spelling.ts';
import { trustedProxies, type IsTrustedProxy } from '../../adapters/express/trusted-proxies.ts';
import type { LdapOptions } from '../auth/ldap/settings.ts';
import type { OidcOptions } from '../auth/oidc/settings.ts';
import type { LoginLimitsOptions } from '../auth/login-limits.ts';
import { ldapSettings } from './ldap-settings.ts';
import { loginLimitSettings } from './login-limit-settings.ts';
import { observationSettings, type ObservationSettings } from './observation-settings.ts';
import { oidcSettings } from './oidc-settings.ts';
import { oldSettings, type OldSettings } from './old-settings.ts';
import { baseFlag, serveFlags } from './serve-flags.ts';
import { tlsSettings, type TlsSettings } from './tls-settings.ts';
import { upstreamSettings } from './upstream-settings.ts';
import type { UpstreamOptions } from '../gateway/settings.ts';
import { UsageError } from './usage-error.ts';

export type { Environment };
export { baseFlag, serveFlags };

export interface ServeSettings {
  /** Absolute. */
  base: string;
  host: string;
  /** 0: any free one. */
  port: number;
  clientAddressSource: ClientAddressSource;
  /** Undefined: whoever connects is believed what the source's header says. */
  trustedProxies: IsTrustedProxy | undefined;
  /** What the server is called by people's browsers, where it cannot know it. */
  publicUrl: string | undefined;
  account: AccountOptions;
  loginLimits: LoginLimitsOptions | false | undefined;
  /** Both from MAX_SYNC_PAYLOAD_MEGS; without it the core's own limits hold. */
  limits: { maxPackedBytes: number; maxUnpackedBytes: number } | undefined;
  tls: TlsSettings | undefined;
  /** How the log looks, and where the metrics are. */
  observation: ObservationSettings;
  /** Options of the core that are taken as they are. */
  core: ReturnType<typeof coreSettings>;
  firstUser: string | undefined;
  /** Users of a directory, beside those in the data folder. */
  ldap: LdapOptions | undefined;
  /** Providers for the account page; none: an empty list. */
  oidc: OidcOptions[];
  /** The server behind, for `gateway` alone. */
  upstream: UpstreamOptions | undefined;
  /** The official server's variables that were found. */
  officialVariables: string[];
  /** What an old community server was told. */
  old: OldSettings;
  /** The layers that all of this comes from. */
  configuration: Configuration;
  /** Variables that are probably misspelled, and secrets that others may read. */
  warnings: string[];
}

const MIB = 1024 * 1024;
const OFFICIAL = /^(SYNC_(BASE|HOST|PORT|IP_HEADER|USER[1-9]\d*(_FILE)?)|MAX_SYNC_PAYLOAD_MEGS)$/;

/** @throws UsageError for a value that cannot be. */
export function serveSettings(flags: ReadonlyMap<string, string>, env: Environment, homeFolder: string): ServeSettings {
  const old = oldSettings(flags.get('ankisyncd-conf'), env, homeFolder);
  const configuration = configurationOf(flags, env, folderOf(flags, env, env, homeFolder, old));
  try {
    return layeredSettings(flags, env, homeFolder, old, configuration);
  } catch (error) {
    throw configuration.explained(error);
  }
}

function layeredSettings(
  flags: ReadonlyMap<string, string>,
  ownEnv: Environment,
  homeFolder: string,
  old: OldSettings,
  configuration: Configuration,
): ServeSettings {
  const { env } = configuration;
  const text = (flag: keyof typeof serveFlags, variable: string): string | undefined => flags.get(flag) ?? valueOf(env, variable);
  const officialVariables = officialVariablesIn(ownEnv);
  const official = officialVariables.length > 0;
  return {
    base: folderOf(flags, env, ownEnv, homeFolder, old),
    host: text('host', 'SYNC_HOST') ?? old.host ?? (official ? '0.0.0.0' : '127.0.0.1'),
    port:
      port(flags.get('port'), '--port') ?? port(valueOf(env, 'SYNC_PORT'), 'SYNC_PORT')
      ?? port(old.port, 'the port of the old server') ?? (official ? 8080 : 27701),
    clientAddressSource: addressSource(valueOf(env, 'SYNC_IP_HEADER')),
    trustedProxies: proxies(text('trusted-proxies', 'TRUSTED_PROXIES')),
    publicUrl: publicUrl(flags.get('public-url'), valueOf(env, 'PUBLIC_URL')),
    account: accountSettings(flags, env),
    loginLimits: loginLimitSettings(flags, env),
    limits: limits(valueOf(env, 'MAX_SYNC_PAYLOAD_MEGS')),
    tls: tlsSettings(flags, env),
    observation: observationSettings(flags, env),
    core: coreSettings(env),
    firstUser: text('first-user', 'FIRST_USER'),
    ldap: ldapSettings(flags, env),
    oidc: oidcSettings(env),
    upstream: upstreamSettings(flags, env),
    officialVariables,
    old,
    configuration,
    warnings: [...misspelledVariables(ownEnv), ...(configuration.file?.warnings ?? [])],
  };
}

/**
 * Absolute path of the data folder: `--base`, SYNC_BASE, the configuration file, `~/.syncserver` beside other official variables, or `./data`.
 *
 * @throws UsageError where the configuration file is wrong
 */
export function baseFolder(flags: ReadonlyMap<string, string>, env: Environment, homeFolder: string): string {
  const configuration = configurationOf(flags, env, folderOf(flags, env, env, homeFolder));
  return folderOf(flags, configuration.env, env, homeFolder);
}

/** What an old community server was told holds for `serve` alone. The file brings no defaults of the official server. */
function folderOf(flags: ReadonlyMap<string, string>, env: Environment, ownEnv: Environment, homeFolder: string, old?: OldSettings): string {
  const given = flags.get('base') ?? valueOf(env, 'SYNC_BASE') ?? old?.dataFolder;
  if (given !== undefined) return resolve(given);
  return officialVariablesIn(ownEnv).length > 0 ? join(homeFolder, '.syncserver') : resolve('data');
}

function officialVariablesIn(env: Environment): string[] {
  return Object.keys(env).filter((name) => OFFICIAL.test(name) && valueOf(env, name) !== undefined).sort();
}

/** Compose files hand on a variable that nobody set as an empty one. */
function valueOf(env: Environment, name: string): string | undefined {
  const value = env[name];
  return value === '' ? undefined : value;
}

function port(value: string | undefined, name: string): number | undefined {
  if (value === undefined) return undefined;
  if (!/^\d{1,5}$/.test(value) || Number(value) > 65535) throw new UsageError(`${name} must be a port number from 0 to 65535, not "${value}"`);
  return Number(value);
}

function addressSource(value: string | undefined): ClientAddressSource {
  if (value === undefined) return 'ConnectInfo';
  const found = clientAddressSources.find((source) => source === value);
  if (found === undefined) {
    throw new UsageError(`SYNC_IP_HEADER is "${value}", but must be one of ${clientAddressSources.join(', ')}.${hint(value, clientAddressSources)}`);
  }
  return found;
}

function publicUrl(flag: string | undefined, variable: string | undefined): string | undefined {
  const url = flag ?? variable;
  if (url === undefined) return undefined;
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
    throw new UsageError(`${flag === undefined ? 'PUBLIC_URL' : '--public-url'} must be an address like https://example.org/anki/, not "${url}"`);
  }
  return url;
}

function proxies(value: string | undefined): IsTrustedProxy | undefined {
  if (value === undefined) return undefined;
  try {
    return trustedProxies(value.split(/[\s,]+/).filter((each) => each !== ''));
  } catch (error) {
    throw new UsageError(`--trusted-proxies (TRUSTED_PROXIES): ${(error as Error).message}`);
  }
}

function limits(megs: string | undefined): ServeSettings['limits'] {
  if (megs === undefined) return undefined;
  if (!/^\d{1,7}$/.test(megs) || Number(megs) === 0) throw new UsageError(`MAX_SYNC_PAYLOAD_MEGS must be a whole number of MiB, not "${megs}"`);
  // beyond what the protocol can carry, the core's own limit holds
  const maxUnpackedBytes = Math.min(Number(megs) * 3 * MIB, DEFAULT_BODY_LIMITS.maxUnpackedBytes);
  return { maxPackedBytes: Number(megs) * MIB, maxUnpackedBytes };
}
