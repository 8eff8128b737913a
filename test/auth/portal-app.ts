/** A portal as companies have one: Express, people of an LDAP directory through passport, and the sync server among its own pages. */
import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import session from 'express-session';
import passport from 'passport';
import LdapStrategy from 'passport-ldapauth';
import { expressSync } from '../../adapters/express/index.ts';
import { createSyncServer, passportAuthenticator, type LogEntry, type SyncServer } from '../../lib/index.ts';
import { PEOPLE, SERVICE, type Slapd } from './ldap/slapd.ts';

export interface Portal {
  /** Ends with a slash. */
  url: string;
  /** What to enter in Anki. */
  ankiUrl: string;
  sync: SyncServer;
  log: LogEntry[];
  close(): Promise<void>;
}

export async function startPortal(slapd: Slapd, base: string, port = 0): Promise<Portal> {
  const strategy = new LdapStrategy({
    server: {
      url: slapd.ldaps,
      tlsOptions: { ca: [slapd.ca] },
      bindDN: SERVICE.dn,
      bindCredentials: SERVICE.password,
      searchBase: PEOPLE,
      searchFilter: '(uid={{username}})',
      connectTimeout: 5000,
      timeout: 5000,
    },
  });

  const log: LogEntry[] = [];
  const sync = createSyncServer({
    base,
    threads: 1,
    // the same strategy as for the portal's own pages; the name as the directory spells it, not as it was typed
    account: { passwords: false },
    authenticator: passportAuthenticator(strategy, { loginName: (person: { uid: string }) => person.uid }),
    log: (entry) => log.push(entry),
  });
  await sync.ready;

  passport.use(strategy);
  passport.serializeUser((person, done) => done(null, person));
  passport.deserializeUser((person: object, done) => done(null, person));
  const signedIn = [session({ secret: 'canary-portal-session', resave: false, saveUninitialized: false }), passport.session()];
  const app = express();
  const portal = express.Router();
  // before the body parsers of the pages
  portal.use('/anki/account', ...signedIn);
  portal.use('/anki', expressSync(sync, { signedInUser: (req) => (req.user as { uid: string } | undefined)?.uid }));
  portal.use(express.urlencoded({ extended: false }));
  portal.get('/', (_req, res) => {
    res.type('html').send('<h1>Portal</h1><form method="post" action="login"><input name="username"><input name="password" type="password"><button>Sign in</button></form>');
  });
  portal.post('/login', ...signedIn, passport.authenticate('ldapauth'), (req, res) => {
    res.send(`signed in as ${(req.user as { uid: string }).uid}`);
  });
  app.use('/portal', portal);

  const listener: Server = app.listen(port, '127.0.0.1');
  await once(listener, 'listening');
  const url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/portal/`;
  return {
    url,
    ankiUrl: `${url}anki/`,
    sync,
    log,
    async close() {
      const closed = once(listener, 'close');
      listener.close();
      listener.closeAllConnections();
      await closed;
      await sync.close();
    },
  };
}
