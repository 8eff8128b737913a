/**
 * A provider's password API as an authenticator, with the example of docs/auth.md. The provider is a stand-in: a small server that speaks as
 * Amazon's documentation says of InitiateAuth with USER_PASSWORD_AUTH. No test here meets the real one.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import tls from 'node:tls';
import { authenticatorSuite } from '../../lib/conformance/authenticator.ts';
import { RawClient } from '../client/raw.ts';
import { ROOT } from '../package/project-copy.ts';
import { runningServer } from '../server/running-server.ts';
import { cognitoAuthenticator } from './cognito-example.ts';

const read = (name: string): string => readFileSync(new URL(`../cli/tls/${name}`, import.meta.url), 'utf8');
tls.setDefaultCACertificates([...tls.getCACertificates('default'), read('cert.pem')]);

const RIGHT = { username: 'Ann', password: 'canary-cognito-1' };
const idToken = (claims: object): string => ['{}', JSON.stringify(claims), 'signature'].map((part) => Buffer.from(part).toString('base64url')).join('.');
const problem = (type: string, status = 400): { status: number; body: object } => ({ status, body: { __type: type, message: 'words' } });

type Behaviour = 'as documented' | 'silent' | 'gateway' | 'busy' | 'redirect' | 'challenge' | 'gone';
let behaviour: Behaviour = 'as documented';
const seen: { target: string | undefined; body: any }[] = [];

async function answer(req: IncomingMessage, res: ServerResponse): Promise<void> {
  let text = '';
  for await (const piece of req.setEncoding('utf8')) text += piece;
  const request = JSON.parse(text);
  seen.push({ target: req.headers['x-amz-target'] as string | undefined, body: request });
  const send = (status: number, body: object): void => void res.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify(body));
  const { USERNAME, PASSWORD } = request.AuthParameters;
  if (behaviour === 'silent') return;
  if (behaviour === 'gone') return void res.destroy();
  if (behaviour === 'gateway') return void res.writeHead(502, { 'content-type': 'text/html' }).end('<h1>502</h1>');
  if (behaviour === 'redirect') return void res.writeHead(302, { location: 'https://login.example.org/' }).end();
  if (behaviour === 'challenge') return send(200, { ChallengeName: 'SMS_MFA', Session: 'x', ChallengeParameters: {} });
  const { status, body } = behaviour === 'busy' ? problem('TooManyRequestsException')
    : USERNAME.toLowerCase() !== 'ann' ? problem('com.amazon.coral.service#UserNotFoundException')
    : PASSWORD !== RIGHT.password ? problem('NotAuthorizedException')
    : { status: 200, body: { AuthenticationResult: { IdToken: idToken({ 'cognito:username': 'ann' }), AccessToken: 'x', ExpiresIn: 3600 }, ChallengeParameters: {} } };
  send(status, body);
}

const provider = createServer({ cert: read('cert.pem'), key: read('key.pem') }, (req, res) => void answer(req, res)).listen(0, '127.0.0.1');
await once(provider, 'listening');
after(() => {
  provider.close();
  provider.closeAllConnections();
});
const endpoint = `https://localhost:${(provider.address() as AddressInfo).port}/`;
const authenticator = cognitoAuthenticator({ region: 'x', clientId: 'the-app', endpoint, timeoutSecs: 5 });

authenticatorSuite({
  name: 'a password API (a stand-in for Amazon Cognito)',
  make: () => {
    behaviour = 'as documented';
    return { authenticator, right: RIGHT, unknownUsername: 'nobody', breakDown: () => void (behaviour = 'gateway') };
  },
});

test('the question is InitiateAuth with USER_PASSWORD_AUTH, and the name is the provider\'s', async () => {
  behaviour = 'as documented';
  assert.deepEqual(await authenticator.authenticate(RIGHT), { loginName: 'ann' });
  assert.deepEqual(seen.at(-1), {
    target: 'AWSCognitoIdentityProviderService.InitiateAuth',
    body: { AuthFlow: 'USER_PASSWORD_AUTH', ClientId: 'the-app', AuthParameters: { USERNAME: 'Ann', PASSWORD: RIGHT.password } },
  });
});

test('a second factor is no way in', async () => {
  behaviour = 'challenge';
  assert.equal(await authenticator.authenticate(RIGHT), null);
});

test('an outage of any kind is 503, with a reason in the log and no password', async () => {
  const server = await runningServer({ authenticator: cognitoAuthenticator({ region: 'x', clientId: 'the-app', endpoint, timeoutSecs: 0.2 }) });
  try {
    const reasons: [Behaviour, RegExp][] = [
      ['silent', /TimeoutError/], ['gone', /fetch failed/], ['gateway', /SyntaxError/], ['busy', /Cognito answered 400 TooManyRequestsException/], ['redirect', /fetch failed/],
    ];
    for (const [how, reason] of reasons) {
      behaviour = how;
      const response = await new RawClient(server.url).post('hostKey', { u: RIGHT.username, p: RIGHT.password });
      assert.deepEqual([response.status, response.text()], [503, 'AUTH_UNAVAILABLE'], how);
      assert.match(server.log.at(-1)!.detail!, reason, how);
    }
    behaviour = 'as documented';
    assert.equal((await new RawClient(server.url).post('hostKey', { u: 'ANN', p: RIGHT.password })).status, 200);
    assert.equal(server.log.at(-1)!.user, 'ann');
    assert.doesNotMatch(JSON.stringify(server.log), /canary/);
  } finally {
    await server.stop();
  }
});

test('the page has this example as it is tested here', () => {
  const page = readFileSync(join(ROOT, 'docs/auth.md'), 'utf8');
  const code = readFileSync(new URL('cognito-example.ts', import.meta.url), 'utf8').replace(/^\/\*\*.*\n/, '').replace('../../lib/index.ts', 'anki-sync-middleware');
  assert.ok(page.includes(`\`\`\`ts\n${code}\`\`\``));
});
