/** The portal of docs/account.md: an application with its own sign-in (passport and a session), and the sync server below it. */
import express from 'express';
import session from 'express-session';
import passport from 'passport';
import { Strategy } from 'passport-local';
import { expressSync } from '../../adapters/express/index.ts';
import type { SyncServer } from '../../lib/index.ts';

export const PEOPLE: Readonly<Record<string, string>> = { 'Kim@Example.org': 'canary-kim-1', lee: 'canary-lee-1' };

export function portalApp(sync: SyncServer): express.Express {
  const own = new passport.Passport();
  own.use(new Strategy((name, password, done) => done(null, PEOPLE[name] === password ? { loginName: name } : false)));
  own.serializeUser((user, done) => done(null, user));
  own.deserializeUser((user: object, done) => done(null, user));
  const signedIn = [session({ secret: 'canary-session-secret', resave: false, saveUninitialized: false }), own.session()];

  const app = express();
  app.use('/portal/anki/account', ...signedIn); // the sync server reads bodies itself: no body parser here
  app.use('/portal/anki', expressSync(sync, { signedInUser: (req) => req.user?.loginName }));
  app.post('/portal/sign-in', express.urlencoded(), ...signedIn, own.authenticate('local'), (_req, res) => void res.redirect('/portal/anki/account'));
  app.post('/portal/sign-out', ...signedIn, (req, res, next) => req.logout((error) => (error ? next(error) : res.send('signed out'))));
  return app;
}
