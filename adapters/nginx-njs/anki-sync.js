/**
 * What nginx has to know of a request of Anki to route, limit and log it: njs 0.7.9 and newer, and QuickJS (`js_engine qjs`).
 * Bodies are never touched: they stream past.
 */
import crypto from 'crypto';

/** `1.<routing id of the user>.<the secret>` */
const HOST_KEY = /^1\.([a-z2-7]{16})\.[A-Za-z0-9_-]{43}$/;

/** In the JSON of a header, or, of clients that begin a media sync by GET, in the address. Others send it in the body, where nobody looks. */
function hostKey(r) {
  const header = r.headersIn['anki-sync'];
  let key = r.args.k;
  if (header !== undefined) {
    try {
      key = JSON.parse(header).k;
    } catch (error) {
      // the server has the words for that
      key = undefined;
    }
  }
  return typeof key === 'string' ? key : '';
}

/** The same in all keys of a user, and no secret; empty on login, and where there is no key of ours. */
function routingId(r) {
  const match = HOST_KEY.exec(hostKey(r));
  return match === null ? '' : match[1];
}

/** What decides which server gets the request. */
function routingKey(r) {
  return routingId(r) || r.remoteAddress;
}

/** For the log: tells people apart, and leads neither to a name nor to a key. */
function logId(r) {
  const id = routingId(r);
  return id === '' ? '-' : crypto.createHash('sha256').update(id).digest('hex').slice(0, 12);
}

/**
 * Of answers: what nginx itself says to a client that is too fast comes with a time to wait, and a 200 without `anki-original-size`,
 * which clients call "missing original size", is told to the operator.
 */
function answer(r) {
  if (r.status === 429 && r.headersOut['Retry-After'] === undefined) r.headersOut['Retry-After'] = '10';
  const header = r.headersIn['anki-sync'];
  const isPacked = r.status === 200 && r.method === 'POST' && header !== undefined && /"v":\s*11\b/.test(header);
  if (isPacked && r.headersOut['anki-original-size'] === undefined) {
    r.warn('an answer to ' + r.uri + ' has no anki-original-size: is it Anki\'s server that is behind here?');
  }
}

/** How the servers of `$anki_servers` are: 200 as long as one of them answers, else 503. */
function health(r) {
  const servers = r.variables.anki_servers.split(' ');
  const asked = servers.map((server) => ngx.fetch('http://' + server + '/health').then((reply) => reply.status === 200, () => false));
  Promise.all(asked).then((up) => {
    const told = {};
    servers.forEach((server, i) => {
      told[server] = up[i] ? 'up' : 'down';
    });
    r.headersOut['Content-Type'] = 'application/json';
    r.headersOut['Cache-Control'] = 'no-store';
    r.return(up.indexOf(true) >= 0 ? 200 : 503, JSON.stringify(told) + '\n');
  });
}

export default { routingId, routingKey, logId, answer, health };
