/** `anki-sync serve`: settings → server → socket, until a signal ends it. */
import { existsSync } from 'node:fs';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { isatty } from 'node:tty';
import connect from 'connect';
import { expressSync, type MountedRequest } from '../../adapters/express/index.ts';
import { forwardedScheme } from '../../adapters/express/trusted-proxies.ts';
import { readSyncUsers } from '../auth/env-users.ts';
import { ldapAuthenticator, type LdapAuthenticator } from '../auth/ldap/ldap-authenticator.ts';
import type { LdapOptions } from '../auth/ldap/settings.ts';
import { requireOidcLibrary } from '../auth/oidc/library.ts';
import { checkOidcOptions, type OidcOptions } from '../auth/oidc/settings.ts';
import { openControl } from '../backup/control.ts';
import { looksLikeOldServer } from '../import/old-server.ts';
import { usersDatabasePath } from '../auth/users-schema.ts';
import { createGateway, createSyncServer, type LogEntry, type SyncServer, type SyncServerOptions, type UpstreamOptions } from '../index.ts';
import type { SyncError } from '../errors.ts';
import { AccessLog, isWorthALine, TEXT_LOG } from './access-log.ts';
import { urlToEnter } from './addresses.ts';
import { clientAddress } from './client-address.ts';
import { welcomeFirstUser } from './first-user.ts';
import { parseFlags } from './flags.ts';
import { jsonLogFormat } from './json-log.ts';
import { inVariables } from './ldap-settings.ts';
import { closeListener, createListener, listen } from './listener.ts';
import { maintenanceWords } from './maintenance.ts';
import { createMetrics, type Metrics } from './metrics.ts';
import { plainHttpServer } from './plain-http.ts';
import { isMetricsPath, listenForMetrics, metricsHandler } from './metrics-endpoint.ts';
import { inOidcVariables } from './oidc-settings.ts';
import { oldPaths } from './old-paths.ts';
import type { OldSettings } from './old-settings.ts';
import { serveFlags, serveSettings, type ServeSettings } from './settings.ts';
import { endAtOnce, stopSignal } from './signals.ts';
import { ownName, packageVersion, shellWord, type Surroundings } from './surroundings.ts';
import { dayOf, readCredentials, WatchedTls } from './tls-files.ts';
import { inUpstreamVariables } from './upstream-settings.ts';
import { UsageError } from './usage-error.ts';

/** Container runtimes kill after 10 s: until then, everything has to be closed and on disk. */
const MAX_CLOSING_MS = 8_000;
/** After the signal. Whatever a thread is still doing then is nobody's answer any more. */
const GIVE_UP_MS = 9_500;

export async function serve(args: string[], { env, homeFolder, output }: Surroundings, command: 'serve' | 'gateway' = 'serve'): Promise<number> {
  const { words, flags } = parseFlags(args, serveFlags);
  if (words.length > 0) throw new UsageError(`${command} takes no "${words[0]}"; settings are flags, like --port 8080`);
  const settings = serveSettings(flags, env, homeFolder);
  const { format, metrics: metricsSettings } = settings.observation;
  const accessLog = new AccessLog((lines) => void output.write(lines), format === 'json' ? jsonLogFormat() : TEXT_LOG);
  const say = (line: string): void => accessLog.say(line);

  const { base, tls, firstUser, old, ldap: ldapOptions } = settings;
  refuseOldData(base);
  say(`anki-sync ${packageVersion()}, data in ${base}`);
  const { users: environmentUsers, warnings } = readSyncUsers(env);
  if (old.found.length > 0) say(`settings of an old community server: ${old.found.join(', ')}`);
  const { file } = settings.configuration;
  if (file !== undefined) say(`settings of ${file.path}`);
  for (const warning of [...old.warnings, ...warnings, ...settings.warnings]) say(warning);
  const leastLevel = LEVELS.indexOf(settings.observation.leastLevel ?? old.leastLevel ?? 'info');
  let metrics: Metrics | undefined;
  const log = (entry: LogEntry): void => {
    metrics?.observe(entry);
    if (LEVELS.indexOf(entry.level) >= leastLevel && isWorthALine(entry)) accessLog.add(entry);
    // another machine works on these files: not one more byte, and no closing in order
    if (entry.code === 'DATA_FOLDER_IN_USE') endAtOnce('SIGTERM');
  };
  if (ldapOptions !== undefined && environmentUsers.length > 0) throw new UsageError('LDAP_URL and SYNC_USER1 are both set: users come from one of them');
  const ldap = ldapOptions === undefined ? undefined : directory({ ...ldapOptions, log });
  const { account, loginLimits, publicUrl, oidc, upstream } = settings;
  if (command === 'serve' && upstream !== undefined) throw new UsageError(`UPSTREAM_URL is set, and serve has no server behind it: start "${ownName()} gateway"`);
  if (command === 'gateway' && upstream === undefined) throw new UsageError('gateway needs --upstream: the address of the server behind, like http://127.0.0.1:8080/');
  checkProviders(oidc, environmentUsers.length > 0);
  if (oidc.length > 0 && account.enabled === false) throw new UsageError('OIDC_ISSUER needs the account page, which NO_ACCOUNT switches off');
  const credentials = tls === undefined ? undefined : await readCredentials(tls);
  const options: SyncServerOptions = {
    base,
    ...settings.limits,
    ...settings.core,
    ...(loginLimits === undefined ? {} : { loginLimits }),
    ...(publicUrl === undefined ? {} : { publicUrl }),
    environmentUsers,
    account,
    ...(ldap === undefined ? {} : { authenticator: ['local', ldap] }),
    oidc,
    log,
  };
  const sync = upstream === undefined ? createSyncServer(options) : openGateway(options, upstream);
  let watchedTls: WatchedTls | undefined;
  const certificate = tls === undefined ? {} : { certificateEndsSecs: () => (watchedTls?.endsAt.getTime() ?? 0) / 1000 };
  if (metricsSettings !== undefined) {
    metrics = createMetrics({ version: packageVersion(), base, activity: () => sync.activity(), ...certificate });
  }
  const closing: (() => Promise<void>)[] = [];
  let givingUp: NodeJS.Timeout | undefined;
  let closingMs = MAX_CLOSING_MS;
  let shownUrl = '';
  try {
    await sync.ready;
    const words = maintenanceWords(base);
    sync.maintenance(words);
    if (words !== undefined) say(`maintenance: no sync begins, until ${ownName()} maintenance off`);
    const control = await openControl(base, {
      copyUser: (userId, to) => sync.copyUser(userId, to),
      answer: ({ status, maintenance }) => {
        if (maintenance === null || typeof maintenance === 'string') {
          sync.maintenance(maintenance ?? undefined);
          say(maintenance === null ? 'maintenance is over: syncs begin again' : 'maintenance: no sync begins any more');
          return {};
        }
        if (status === undefined) throw new Error('this server is older than what asks it: restart it');
        return { version: packageVersion(), pid: process.pid, url: shownUrl, uptimeSecs: process.uptime(), rssBytes: process.memoryUsage.rss(), ...sync.activity() };
      },
    });
    closing.push(() => control.close());
    const answerMetrics = metrics === undefined ? undefined : metricsHandler(metrics, metricsSettings?.token);
    const https = credentials && { credentials, place: { publicUrl } };
    const listener = createListener(application(sync, settings, old, answerMetrics), https);
    await listen(listener, { host: settings.host, port: settings.port });
    try {
      if (answerMetrics !== undefined && metricsSettings !== undefined && metricsSettings.at !== 'path') {
        const endpoint = await listenForMetrics(answerMetrics, metricsSettings.at);
        closing.push(() => endpoint.close());
        const { address, port } = endpoint.server.address() as AddressInfo;
        say(`metrics for Prometheus at ${urlToEnter('http', address, port)}metrics`);
      }
      const stop = stopSignal();
      const { address, port } = listener.address() as AddressInfo;
      const url = urlToEnter(tls === undefined ? 'http' : 'https', address, port);
      shownUrl = url;
      if (tls !== undefined && credentials !== undefined) {
        watchedTls = await WatchedTls.start(tls, listener as TlsServer, credentials, say);
        closing.push(async () => watchedTls?.close());
        say(`https with a certificate that is valid until ${dayOf(watchedTls.endsAt)}`);
        if (tls.plainPort !== undefined) {
          const plain = plainHttpServer({ publicUrl, port });
          await listen(plain, { host: settings.host, port: tls.plainPort });
          closing.push(() => closeListener(plain, 1_000));
          say(`whoever comes by http to port ${(plain.address() as AddressInfo).port} is sent to https`);
        }
      }
      const forgetHangup = reloadOnHangup(watchedTls, say);
      closing.push(async () => forgetHangup());
      if (oidc.length > 0) say(`users sign in through ${oidc.map(({ name, issuer }) => name ?? issuer).join(' and ')} on the page ${(publicUrl ?? url).replace(/\/*$/, '/')}account`);
      if (ldap !== undefined) tellOfDirectory(ldap, say);
      else if (oidc.length === 0 && environmentUsers.length === 0) await welcomeFirstUser(base, firstUser, say);
      say(`listening on ${address} port ${port}; enter ${url} in Anki (open it in a browser to read how)`);
      if (upstream !== undefined) say(`syncs go to ${upstream.url}`);
      const signal = await stop;
      say(`${signal}: closing`);
      accessLog.close();
      givingUp = setTimeout(() => {
        say('some work did not end in time and is given up; the next start tidies up');
        endAtOnce(signal);
      }, GIVE_UP_MS);
      const beganMs = performance.now();
      await sync.letSyncsEnd();
      closingMs -= performance.now() - beganMs;
    } finally {
      await closeListener(listener, closingMs);
    }
  } finally {
    for (const close of closing) await close();
    await sync.close();
    clearTimeout(givingUp);
    accessLog.close();
  }
  return 0;
}

/** What tells a service to read its files again. At a terminal it tells that the terminal is gone, and ends the server as it always did. */
function reloadOnHangup(tls: WatchedTls | undefined, say: (line: string) => void): () => void {
  if (isatty(0)) return () => {};
  const onHangup = (): void => void (tls === undefined ? say('SIGHUP: there is no certificate to read again') : tls.look(true));
  process.on('SIGHUP', onHangup);
  return () => void process.off('SIGHUP', onHangup);
}

const LEVELS = ['info', 'warn', 'error'];

function openGateway(options: SyncServerOptions, upstream: UpstreamOptions): SyncServer {
  try {
    return createGateway({ ...options, upstream });
  } catch (error) {
    throw new UsageError(inUpstreamVariables((error as Error).message));
  }
}

function directory(options: LdapOptions): LdapAuthenticator {
  try {
    return ldapAuthenticator(options);
  } catch (error) {
    throw new UsageError(inVariables((error as Error).message));
  }
}

function checkProviders(oidc: readonly OidcOptions[], hasEnvironmentUsers: boolean): void {
  if (oidc.length === 0) return;
  if (hasEnvironmentUsers) throw new UsageError('OIDC_ISSUER and SYNC_USER1 are both set: users come from one of them');
  try {
    checkOidcOptions(oidc);
    requireOidcLibrary();
  } catch (error) {
    throw new UsageError(inOidcVariables((error as Error).message));
  }
}

/** Nobody waits for it: the directory may come up later than this server, and whoever has a key syncs without it. */
function tellOfDirectory(ldap: LdapAuthenticator, say: (line: string) => void): void {
  ldap.check().then(
    () => say('users sign in through LDAP; the directory answers'),
    (error: SyncError) => say(`users sign in through LDAP, but not now: ${error.detail ?? error.message}`),
  );
}

/**
 * The users of an old community server lie where ours would, but their media and passwords do not. Looked at before the
 * first start alone.
 */
function refuseOldData(base: string): void {
  if (existsSync(usersDatabasePath(base)) || !looksLikeOldServer(base)) return;
  const into = shellWord(`${base.replace(/[/\\]+$/, '')}-anki-sync`);
  throw new UsageError(`${base} holds the data of an old community server. Take them over into a folder of their own:
    ${ownName()} import ${shellWord(base)} --base ${into}
and then start with --base ${into}`);
}

function application(sync: SyncServer, settings: ServeSettings, old: OldSettings, answerMetrics?: RequestListener): RequestListener {
  const app = connect();
  if (answerMetrics !== undefined && settings.observation.metrics?.at === 'path') {
    app.use((req: IncomingMessage, res: ServerResponse, next: () => void) => (isMetricsPath(req.url) ? answerMetrics(req, res) : next()));
  }
  app.use(behindProxy(settings));
  const rewrite = oldPaths(old);
  if (rewrite !== undefined) {
    app.use((req: IncomingMessage, _res, next) => {
      req.url = rewrite(req.url ?? '/');
      next();
    });
  }
  // without connect's `next`: whatever we do not know is answered as the core answers it
  const handler = expressSync(sync);
  app.use((req: MountedRequest, res) => handler(req, res));
  return app as RequestListener;
}

/** Address and scheme of the client, from the headers of the proxy that the operator declared; connect itself knows neither. */
function behindProxy({ clientAddressSource: source, trustedProxies: isTrusted }: ServeSettings) {
  return (req: IncomingMessage & MountedRequest, _res: unknown, next: () => void): void => {
    req.ip = clientAddress(req, source, isTrusted);
    const scheme = forwardedScheme(req, isTrusted ?? (() => source !== 'ConnectInfo'));
    if (scheme !== undefined) req.protocol = scheme;
    next();
  };
}
