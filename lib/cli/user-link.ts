/** `anki-sync user link`: a user who is there already is somebody of a provider, who comes next. */
import type { Call } from './user.ts';
import { daysOf, minute } from './user-devices.ts';
import { UsageError } from './usage-error.ts';

const SECS_PER_DAY = 86_400;
/** Whoever has the name at a provider by then is the user: nobody should be able to come by for it years later. */
const DAYS = 7;

/** Exit code 1: `--off`, and nobody was waited for. */
export async function link({ users, name, flags, say }: Call): Promise<number> {
  if (flags.has('off')) {
    if (flags.has('expires')) throw new UsageError('--off and --expires do not go together');
    const { user, wasWaiting } = await users.awaitSubject(name, null);
    say(wasWaiting ? `"${user.loginName}" waits for nobody any more` : `"${user.loginName}" was waiting for nobody`);
    return wasWaiting ? 0 : 1;
  }
  const days = flags.get('expires');
  const untilSecs = Math.floor(Date.now() / 1000) + (days === undefined ? DAYS : daysOf(days)) * SECS_PER_DAY;
  const { user } = await users.awaitSubject(name, untilSecs);
  say(`"${user.loginName}" belongs to whoever signs in next by this name through a provider, until ${minute(untilSecs)};`);
  say('after that, or with --off, to nobody new.');
  return 0;
}
