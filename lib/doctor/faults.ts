/** What can be wrong with a deployment: what people see of it in Anki, and what to change. */

export interface Remedy {
  /** What Anki shows. */
  shows: string;
  /** What to change, wherever it is. */
  change: string;
  nginx?: string;
  caddy?: string;
  apache?: string;
  haproxy?: string;
}

const NO_NETWORK = 'error sending request';
const CHECK_DATABASE = 'Please use the Check Database function';
const MISSING_SIZE = 'missing original size';
const SERVER_PROBLEM = 'AnkiWeb encountered a problem. Please try again in a few minutes.';
const STREAM_CUT = `a network error with 303 or 408 among its details, or ${SERVER_PROBLEM}`;

export const REMEDIES = {
  ADDRESS_DOUBLED_SYNC: {
    shows: '404 Not Found, or nothing where the server forgives it',
    change: 'in Anki, leave sync/ out: Anki appends it by itself; in the proxy, do not add it to the address of the server',
    nginx: 'proxy_pass http://127.0.0.1:27701/; and no sync/ in it',
  },
  ADDRESS_NOT_THE_SERVERS: {
    shows: '404 Not Found',
    change: 'in Anki, enter the address of the server, which is shorter',
  },
  SLASH_MISSING: { shows: '404 Not Found', change: 'in Anki, enter the address with a slash at its end' },
  NAME_UNKNOWN: {
    shows: NO_NETWORK,
    change: 'look for a slip in the name; or add a DNS record (A, AAAA) for it, and wait until it is known',
  },
  NOBODY_LISTENS: {
    shows: NO_NETWORK,
    change: 'is the server, or the proxy, up? Is the port right, in Anki and in the port forwarding? Does it listen on more than 127.0.0.1 (--host 0.0.0.0)?',
  },
  NO_ANSWER: {
    shows: `${NO_NETWORK}, after a while`,
    change: 'open the port in the firewall and in the port forwarding of the router, and see whether the name leads to the right machine',
  },
  SOMETHING_ELSE: {
    shows: '404 Not Found, 405 Method Not Allowed, or a network error',
    change: 'another program answers there: enter the port and path of the sync server, or lead this path of the proxy to it',
    nginx: 'location /anki/ { proxy_pass http://127.0.0.1:27701/; … }',
    caddy: 'handle_path /anki/* { reverse_proxy 127.0.0.1:27701 }',
    apache: '<Location "/anki/"> ProxyPass "http://127.0.0.1:27701/" … </Location>',
    haproxy: 'use_backend anki_sync if { path_beg /anki/ }',
  },
  SPEAKS_HTTP: { shows: NO_NETWORK, change: 'in Anki, enter http:// in place of https://; or set up TLS on this port' },
  SPEAKS_HTTPS: { shows: `${CHECK_DATABASE}, or ${NO_NETWORK}`, change: 'in Anki, enter https:// in place of http://' },
  HTTPS_REDIRECT: {
    shows: '405 Method Not Allowed (301, 302), missing original size (307), or code: 308 with an address',
    change: 'in Anki, enter the address with https://, as it is above',
    nginx: 'return 308 https://$host$request_uri; helps devices that are signed in already',
  },
  REDIRECTED: { shows: '405 Method Not Allowed, or missing original size', change: 'in Anki, enter the address that it is redirected to; or let sync/ and msync/ pass without a redirection' },
  LOGIN_PAGE: {
    shows: `${MISSING_SIZE}, 401 Unauthorized, or 405 Method Not Allowed`,
    change: 'let sync/ and msync/ pass without single sign-on or a password of the proxy: the server asks for passwords by itself',
    nginx: 'auth_request off; and auth_basic off; in the location of the server',
    caddy: 'no forward_auth and no basic_auth for the path of the server',
    apache: 'Require all granted, and no AuthType, in the <Location> of the server',
    haproxy: 'no http-request auth for the path of the server',
  },
  PROXY_REFUSES: {
    shows: 'Email or password was incorrect; please try again. A desktop then forgets its key',
    change: 'something before the server refuses by 403: a firewall for web applications, a rule for addresses or countries, a bot check. Except sync/ and msync/ from it',
  },
  LIMITED: { shows: '429 Too Many Requests', change: 'a limit for requests: a sync is some twenty requests in a second or two, and more', nginx: 'limit_req … burst=500 delay=200;' },
  SERVER_DOWN: {
    shows: SERVER_PROBLEM,
    change: 'the proxy does not reach the server: is it up, and are its address and port in the proxy right?',
    nginx: 'proxy_pass http://127.0.0.1:27701/;',
    caddy: 'reverse_proxy 127.0.0.1:27701',
    apache: 'ProxyPass "/" "http://127.0.0.1:27701/"',
    haproxy: 'server one 127.0.0.1:27701',
  },
  SUBPATH_NOT_STRIPPED: {
    shows: 'nothing where the server forgives it, else 404 Not Found',
    change: 'the proxy has to take its path away before it hands a request on',
    nginx: 'the slash at the end does that: location /anki/ { proxy_pass http://127.0.0.1:27701/; }',
    caddy: 'handle_path /anki/* in place of handle /anki/*',
    apache: 'ProxyPass "http://127.0.0.1:27701/" in <Location "/anki/">, both with a slash at the end',
    haproxy: 'http-request replace-path /anki(/.*) \\1',
  },
  MEDIA_NOT_PASSED: {
    shows: 'cards sync, and media do not: 404 Not Found, or missing original size',
    change: 'lead msync/ to the server too, as sync/',
  },
  CERTIFICATE_SELF_SIGNED: {
    shows: NO_NETWORK,
    change: 'get a certificate that devices trust, such as one of Let\'s Encrypt; or make your authority known to each device: in the system for desktops, '
      + 'in AnkiDroid under Custom root certificate (PEM), as a trusted profile for AnkiMobile. It is --ca for this command',
  },
  CERTIFICATE_CHAIN: {
    shows: `${NO_NETWORK}, on phones most of all`,
    change: 'serve the whole chain: certificate first, then those between it and the authority',
    nginx: 'ssl_certificate …/fullchain.pem;',
    caddy: 'tls fullchain.pem key.pem',
    apache: 'SSLCertificateFile …/fullchain.pem',
    haproxy: 'crt: certificate, chain and key in one file',
  },
  CERTIFICATE_NAME: { shows: NO_NETWORK, change: 'enter a name that the certificate has, or get one for this name; an IP address needs a certificate for it' },
  CERTIFICATE_EXPIRED: { shows: NO_NETWORK, change: 'renew the certificate, and see that it is renewed by itself and that the server takes the new one' },
  CERTIFICATE_EXPIRES: { shows: `nothing yet; then ${NO_NETWORK}`, change: 'renew the certificate: what should do that by itself does not' },
  CERTIFICATE_NOT_YET: { shows: NO_NETWORK, change: 'one of the clocks is wrong, here or where the certificate was made' },
  TLS_FAILS: { shows: NO_NETWORK, change: 'allow TLS 1.2 and 1.3 with current ciphers, and ask for no certificate of clients' },
  TLS_1_2_MISSING: {
    shows: `on iPhone and iPad: ${NO_NETWORK}, or error -9836`,
    change: 'allow TLS 1.2 beside 1.3',
    nginx: 'ssl_protocols TLSv1.2 TLSv1.3;',
    caddy: 'tls { protocols tls1.2 tls1.3 }',
    apache: 'SSLProtocol -all +TLSv1.2 +TLSv1.3',
    haproxy: 'ssl-min-ver TLSv1.2',
  },
  NOT_ENCRYPTED: { shows: 'nothing', change: 'use https outside of your own network: everybody on the way can read cards and keys' },
  SERVER_OLD: { shows: 'nothing, until a newer Anki needs what it lacks', change: 'update the server: npm install anki-sync-middleware@latest, or the package that you run' },
  CLOCK_WRONG: { shows: 'a message that the clock of the device is wrong, and no sync', change: 'set the clock of the server, or of this computer, by NTP: Anki refuses more than five minutes' },
  REQUEST_HEADER_LOST: {
    shows: CHECK_DATABASE,
    change: 'let the header anki-sync of requests pass',
    nginx: 'no proxy_set_header anki-sync "", and no proxy_pass_request_headers off;',
    caddy: 'no header_up -Anki-Sync',
    apache: 'no RequestHeader unset anki-sync',
    haproxy: 'no http-request del-header anki-sync',
  },
  ANSWER_HEADER_LOST: {
    shows: MISSING_SIZE,
    change: 'let the header anki-original-size of answers pass',
    nginx: 'no proxy_hide_header anki-original-size;',
    caddy: 'no header_down -Anki-Original-Size',
    apache: 'no Header unset anki-original-size',
    haproxy: 'no http-response del-header anki-original-size',
  },
  ANSWER_RECOMPRESSED: {
    shows: 'a network error with 303 among its details',
    change: 'answers are packed already: do not compress them',
    nginx: 'gzip off; brotli off;',
    caddy: 'no encode for the path of the server',
    apache: 'SetEnv no-gzip 1 and SetEnv no-brotli 1',
    haproxy: 'no compression',
  },
  ANSWER_CHANGED: { shows: 'a network error with 303 among its details', change: 'answers of the server must pass byte for byte: no filter, no scanner, no optimizer' },
  HTTP_1_0: {
    shows: 'Please use the Check Database function, 411 Length Required, or timeouts at large uploads',
    change: 'the proxy has to speak HTTP/1.1 to the server: bodies come in chunks, without a length',
    nginx: 'proxy_http_version 1.1; proxy_set_header Connection "";',
    caddy: 'transport http { versions 1.1 }',
    apache: 'no SetEnv force-proxy-request-1.0, no proxy-nokeepalive',
  },
  BODY_LOST: {
    shows: CHECK_DATABASE,
    change: 'bodies come in chunks, without a length, and have to arrive so, and whole',
    nginx: 'proxy_http_version 1.1; proxy_request_buffering off;',
    apache: 'SetEnv proxy-sendchunked 1',
  },
  BODIES_COLLECTED: {
    shows: 'nothing for small collections; large ones fail once they meet a timeout or a full disk of the proxy',
    change: 'let bodies pass as they come',
    nginx: 'proxy_request_buffering off; proxy_http_version 1.1;',
    caddy: 'no request_buffers',
    apache: 'SetEnv proxy-sendchunked 1',
    haproxy: 'no option http-buffer-request',
  },
  ANSWERS_COLLECTED: {
    shows: 'nothing for small collections; large downloads may stand still for 30 seconds, and fail',
    change: 'let answers pass as they come',
    nginx: 'proxy_buffering off;',
    caddy: 'flush_interval -1',
    apache: 'flushpackets=on',
  },
  BODY_LIMIT: {
    shows: '413 Request Entity Too Large at large uploads, or a network error',
    change: 'no limit for bodies; the server has limits of its own. Services in front, such as Cloudflare, have theirs (100 MB)',
    nginx: 'client_max_body_size 0;',
    caddy: 'no request_body max_size',
    apache: 'LimitRequestBody 0',
    haproxy: 'no rule on req.body_size or content-length',
  },
  PROXY_TIMEOUT: {
    shows: STREAM_CUT,
    change: 'timeouts of 300 seconds, and none for a whole request',
    nginx: 'client_body_timeout 300s; proxy_read_timeout 300s; proxy_send_timeout 300s;',
    caddy: 'no read_timeout, write_timeout and response_header_timeout below 300s',
    apache: 'ProxyPass … timeout=300, and RequestReadTimeout body=300',
    haproxy: 'timeout client 300s, timeout server 300s, timeout http-request for the head alone',
  },
  PUBLIC_URL: {
    shows: 'nothing; the page for people, and the account page, show and use another address',
    change: 'start the server with --public-url and this address; or let the proxy tell the scheme, by X-Forwarded-Proto, and the server trust it (--trusted-proxies)',
    nginx: 'proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme;',
  },
  CLIENT_ADDRESS: {
    shows: 'nothing; everybody counts as one address for the limits on wrong passwords, and for the log',
    change: 'start the server with --trusted-proxies and the address of the proxy, and let the proxy send X-Forwarded-For',
    nginx: 'proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;',
    haproxy: 'http-request set-header X-Forwarded-For %[src]',
  },
  PASSWORD_WRONG: { shows: 'Email or password was incorrect; please try again.', change: 'name or password: "user verify NAME" on the server tells, and "user passwd NAME" makes a new one' },
  SYNC_REFUSED: { shows: 'what the server says, above', change: 'look at the log of the server: its line of this moment has the code, and docs/errors.md what it means' },
} as const satisfies Record<string, Remedy>;

export type Fault = keyof typeof REMEDIES;
