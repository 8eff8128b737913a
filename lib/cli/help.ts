import { ownName } from './surroundings.ts';

/** Of one command: its line, and the parts that have its flags. */
export function helpOf(command: string): string {
  const [usage = '', list = '', ...parts] = helpText().trimEnd().split('\n\n');
  // a line of the list, and what is set in below it
  const entries = list.split(/\n(?=  \S)/).filter((entry) => entry.trim().split(' ')[0] === command);
  const titles = [command, ...(TAKE_FLAGS_OF_SERVE.includes(command) ? ['serve'] : []), ...(/^(version|help|doctor|tls)$/.test(command) ? [] : ['All commands'])];
  const kept = parts.filter((part) => titles.some((title) => part.startsWith(`${title}:`) || part.startsWith(`${title},`) || part.startsWith(`${title} `)));
  return `${[usage, entries.join('\n'), ...kept].join('\n\n')}\n`;
}

const TAKE_FLAGS_OF_SERVE = ['gateway', 'config'];

export function helpText(): string {
  const name = ownName();
  return `Usage: ${name} <command> [flags]

  serve                  starts the server; stop it with Ctrl+C
  gateway                starts our sign-in in front of a sync server that is there already; takes the flags of serve, and those below
  status                 tells what the running server does: who syncs, what is open, memory; --watch goes on
  maintenance on|off     lets no sync begin, and tells people why in Anki; syncs that run end
  tls self-signed        makes a certificate for https, and an authority that devices can trust
  config                 prints all settings, and where each comes from; takes the flags of serve
  user add NAME          adds a user; the password is asked for, or is the first line of standard input
  user passwd NAME       changes a password; devices must sign in again, and app passwords end, unless --keep-app-passwords or --keep-keys
  user list              lists the users
  user remove NAME       removes a user; the cards stay on disk
  user disable NAME      refuses a user until "user enable NAME"
  user link NAME [--expires 7d]
                         gives the user to whoever signs in next by this name through a provider, until then; --off ends it
  user devices NAME      lists a user's devices, with app, last sync and address
  user app-password NAME --name TEXT [--expires 90d]
                         makes a password for Anki clients and shows it, once; with a name for the list
  user app-passwords NAME
                         lists them
  user revoke NAME [ID]  signs out a device, or revokes an app password; without ID all devices, with --app-passwords those too
  user admin NAME        makes an administrator of the account page; --off ends it
  user quota NAME [--collection 200M] [--media 2G]
                         what one user may have, from then on; off: no limit, default: as everybody; --off and --default: both
  user verify NAME       tells whether a password is right (exit code 0) or not (1)
  import [FOLDER]        takes over the users of an old community server (ankisyncd), with cards, media and passwords
  check [NAME]           tells what is wrong in the data folder, of all users or some (exit code 1 if anything is)
  backup [NAME]          copies all users or some, while they sync, to a folder or a zip file
  restore [NAME]         brings users back from a backup, or one from a snapshot; what it replaces is kept as a snapshot
  snapshots NAME         lists what full uploads and restores replaced
  doctor URL             tells what is wrong with a server, or with the proxy in front of it, as Anki meets them (exit code 1 if anything is)
  version                prints the version
  help [COMMAND]         prints this, or what belongs to one command

All commands, where the data are:
  --base FOLDER          the data folder (default ./data)
  --config FILE          settings (default: anki-sync.toml or anki-sync.json in the working folder, or else in the data folder)

serve:
  --host ADDRESS         where to listen (default 127.0.0.1; 0.0.0.0 or :: for all networks)
  --port NUMBER          (default 27701)
  --tls-cert FILE --tls-key FILE
                         serve https with this certificate (PEM, with its chain) and key; taken anew when the files change
  --tls-key-passphrase-file FILE
                         the passphrase of the key
  --tls-plain-port NUMBER
                         tells whoever comes by http to this port the address of https
  --log-format json      the log as one JSON object a line (default text); needs the package pino
  --log-level LEVEL      info, warn or error (default info: every request)
  --metrics WHERE        metrics for Prometheus: a port, 127.0.0.1:9464, or "path" for /metrics of the server; needs prom-client
  --metrics-token-file FILE
                         the token that Prometheus shows; needed unless only this computer can ask
  --first-user NAME      if there is no user yet, adds one and prints a generated password, once
  --ankisyncd-conf FILE  settings of an old community server (default: where that server looked); also for import

serve, behind a proxy, and against guessing (each flag is also a variable: TRUSTED_PROXIES, …):
  --trusted-proxies LIST believe X-Forwarded-For from these: addresses, networks, or loopback, uniquelocal
  --public-url URL       what browsers call the server: https://example.org/anki/
  --login-limit-user-and-address NUMBER --login-limit-address NUMBER --login-limit-user NUMBER
                         wrong passwords until a login is refused (default 10, 100, 50)
  --login-limit-minutes NUMBER
                         for how long (default 15)
  --no-login-limits      as many as they like

serve, the account page (each flag is also a variable: ACCOUNT_ADMINS, …):
  --no-account           leaves it out
  --account-admins NAMES administrators, beside those of "user admin"; with commas
  --account-session-hours NUMBER --account-idle-minutes NUMBER
                         until a browser has to sign in again (default 12 and 60)
  --no-account-passwords nobody signs in there by a password: people come through a provider

serve, with the users of an LDAP directory (each flag is also a variable: LDAP_URL, …; the password is LDAP_BIND_PASSWORD):
  --ldap-url URLS        ldaps://ldap.example.org; several, with commas, are tried in order
  --ldap-start-tls       encrypts ldap:// connections; one that cannot be is not used
  --ldap-ca-file FILE    trust these certification authorities (PEM) and no others
  --ldap-bind-dn DN --ldap-bind-password-file FILE
                         the account that looks people up
  --ldap-search-base DN  where people are
  --ldap-user-filter FILTER
                         whom a typed name means (default "(uid={name})"), and who may sign in
  --ldap-bind-template TEXT
                         sign in as this, without looking up first: "uid={name},ou=people,dc=example,dc=org"
  --ldap-name-attribute NAME
                         what becomes the user name (default: the attribute that is compared with {name})
  --ldap-group-filter FILTER --ldap-group-base DN
                         one of these groups must have the person: "(&(cn=anki)(member={dn}))"
  --ldap-timeout-secs NUMBER
                         for each step (default 5)
  --ldap-recheck-minutes NUMBER
                         how often users who sync are looked up again (default 60; 0: never)
  --ldap-dangerously-allow-plaintext         lets everybody on the way read the passwords
  --ldap-dangerously-skip-certificate-check  tells the passwords to whoever answers for the directory

serve, with users of a provider of OpenID Connect, by variables alone: OIDC_ISSUER, OIDC_CLIENT_ID, OIDC_CLIENT_SECRET_FILE, …
                         all of them: docs/options.md

gateway, with users and sign-in as above (each flag is also a variable: UPSTREAM_URL, …; or UPSTREAM_SHARED_PASSWORD):
  --upstream URL         the server behind: http://127.0.0.1:8080/
  --upstream-users-file FILE
                         who people are there, JSON: {"kim": "password there", "ada": {"user": "name there", "password": "…"}}
  --upstream-shared-password-file FILE
                         the password there of everybody else, under the same name
  --upstream-timeout-secs NUMBER
                         how long it may be silent (default 120)

tls self-signed:
  --host LIST            names and addresses by which devices reach the server, with commas; once more: those of before
  --to FOLDER            for ca.pem, cert.pem, key.pem (default ./tls)
  --days NUMBER          how long the certificate is valid (default 397; at most 825)

maintenance on:
  --message TEXT         what people read in Anki
  --wait                 until nobody is syncing

status:
  --watch                once a second, until Ctrl+C
  --json                 one JSON object

import:
  --auth-db FILE         the old server's auth.db (default: found in FOLDER or beside it)
  --ankisyncd-conf FILE  settings of the old server (default: where it looked)
  --dry-run              looks at everything, tells what would come, and changes nothing

backup:
  --to FOLDER            a new or empty folder, or a new file that ends in .zip

restore (the server must be stopped):
  --from BACKUP          the folder or zip file of a backup
  --all                  all users of the backup
  --snapshot TIME        as "snapshots NAME" lists it, or "latest"

check:
  --deep                 reads every media file and every snapshot too

doctor:
  --user NAME            signs in too; the password is asked for, or is the first line of standard input
  --password-file FILE   the password of --user
  --ca FILE              trust these authorities (PEM) as well
  --body-mib NUMBER      how large a body has to pass (default 8, at most 128)
  --slow-secs NUMBER     how long something slow may take (default 35, at most 120; 0: nothing slow is tried)
  --json                 one JSON object

The official server's variables work too: SYNC_BASE, SYNC_HOST, SYNC_PORT, SYNC_USER1=name:password (SYNC_USER2, …),
SYNC_IP_HEADER, MAX_SYNC_PAYLOAD_MEGS. With any of them set, its defaults hold for the others: 0.0.0.0, 8080, ~/.syncserver.
So do those of old community servers: ANKISYNCD_HOST, _PORT, _DATA_ROOT, _COLLECTIONS_PATH, _AUTH_DB_PATH, _LOG_LEVEL,
_BASE_URL, _BASE_MEDIA_URL, and ankisyncd.conf.
`;
}
