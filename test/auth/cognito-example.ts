/** An example of docs/auth.md, word for word but for where it imports from. */
import { authenticatorFrom, type Authenticator } from '../../lib/index.ts';

const WRONG = ['NotAuthorizedException', 'UserNotFoundException', 'UserNotConfirmedException', 'PasswordResetRequiredException'];

export function cognitoAuthenticator({ region, clientId, endpoint = `https://cognito-idp.${region}.amazonaws.com/`, timeoutSecs = 10 }: {
  region: string;
  clientId: string;
  endpoint?: string;
  timeoutSecs?: number;
}): Authenticator {
  return authenticatorFrom(async ({ username, password }) => {
    const response = await fetch(endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'AWSCognitoIdentityProviderService.InitiateAuth' },
      body: JSON.stringify({ AuthFlow: 'USER_PASSWORD_AUTH', ClientId: clientId, AuthParameters: { USERNAME: username, PASSWORD: password } }),
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutSecs * 1000),
    });
    const answer = (await response.json()) as any;
    if (response.ok && answer.AuthenticationResult !== undefined) {
      // fresh from the provider by TLS: nobody else can have made this token
      const claims = JSON.parse(Buffer.from(answer.AuthenticationResult.IdToken.split('.')[1], 'base64url').toString());
      return claims['cognito:username'];
    }
    // a second factor, or a new password to be chosen: not from Anki
    if (response.ok && answer.ChallengeName !== undefined) return null;
    const type = String(answer.__type).split('#').at(-1)!;
    if (WRONG.includes(type)) return null;
    throw new Error(`Cognito answered ${response.status} ${type}`);
  });
}
