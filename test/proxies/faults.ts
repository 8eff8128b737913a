/** Proxies as they are often set up wrongly, and what the real Anki says then: docs/proxies.md has each of these words. */

export interface Fault {
  /** What is wrong. */
  name: string;
  /** Directives of nginx for the location. `{server}` is the server, `{nobody}` a port where nobody listens. */
  location: string;
  /** What a person does. */
  when: 'login' | 'sync' | 'upload';
  /** A part of what Anki shows. */
  says: string;
  /** Left out of the address that the person typed. */
  withoutSlash?: true;
}

const RIGHT = 'proxy_pass {server}; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_request_buffering off; proxy_buffering off;';

export const FAULTS: readonly Fault[] = [
  {
    name: 'the limit for bodies is the one that nginx has by default',
    location: RIGHT,
    when: 'upload',
    says: '413 Request Entity Too Large',
  },
  {
    name: 'a page to sign in stands in front',
    location: 'default_type text/html; return 200 "<html>please sign in</html>";',
    when: 'sync',
    says: 'missing original size',
  },
  {
    name: 'anki-original-size is taken away from answers',
    location: `${RIGHT} proxy_hide_header anki-original-size;`,
    when: 'sync',
    says: 'missing original size',
  },
  { name: 'the redirection to https is a 307', location: 'return 307 https://localhost/;', when: 'login', says: 'missing original size' },
  {
    name: 'the redirection to https is a 308',
    location: 'return 308 https://anki.example.org$request_uri;',
    when: 'login',
    says: 'code: 308, context: "https://anki.example.org/',
  },
  { name: 'the redirection to https is a 301 or 302', location: 'return 301 /right$uri;', when: 'login', says: '405 Method Not Allowed' },
  { name: 'the slash at the end of the address is missing', location: RIGHT, when: 'login', says: '404 Not Found', withoutSlash: true },
  {
    name: 'the header anki-sync is taken away from requests',
    location: `${RIGHT} proxy_set_header anki-sync "";`,
    when: 'login',
    says: 'Please use the Check Database function',
  },
  {
    name: 'the server is down',
    location: 'proxy_pass {nobody};',
    when: 'sync',
    says: 'AnkiWeb encountered a problem. Please try again in a few minutes.',
  },
  {
    name: 'the proxy waits too short',
    location: 'return 504;',
    when: 'sync',
    says: 'AnkiWeb encountered a problem. Please try again in a few minutes.',
  },
  { name: 'the proxy asks for a password of its own', location: 'return 401;', when: 'sync', says: '401 Unauthorized' },
  { name: 'the proxy refuses by 403', location: 'return 403;', when: 'sync', says: 'Email or password was incorrect; please try again.' },
  { name: 'a limit for requests is too strict', location: 'return 429;', when: 'sync', says: '429 Too Many Requests' },
];
