'use strict';

// Sessions as a web team would have them in Node: Express, express-session, and connect-pg-simple as their store. All
// options not named here have their defaults. So each request reads the session's row and touches it: an UPDATE of its
// expiry, for which the end of the answer is kept back.

const cluster = require('node:cluster');
const express = require('express');
const session = require('express-session');
const PgStore = require('connect-pg-simple')(session);

const { DATABASE_URL, PORT, PROCESSES, SESSION_SECRET } = process.env;
const THIRTY_DAYS = 30 * 24 * 60 * 60 * 1000;

function serve() {
  const app = express();
  app.use(
    session({
      store: new PgStore({ conString: DATABASE_URL }),
      secret: SESSION_SECRET,
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: THIRTY_DAYS },
    }),
  );
  app.get('/session', (request, response) => {
    const { user_id, session_id, cookie } = request.session;
    if (user_id === undefined) {
      response.status(401).json({ detail: 'Session has ended' });
      return;
    }
    // There is one limit, which each touch moves; the answer has as many members as the service's.
    const { expires } = cookie;
    response.json({ active: true, session_id, user_id, expires_at: expires, idle_expires_at: expires });
  });
  app.listen(Number(PORT), '127.0.0.1');
}

if (cluster.isPrimary) {
  for (let number = 0; number < Number(PROCESSES); number += 1) cluster.fork();
  // A run with fewer workers than it says must not go on.
  cluster.on('exit', () => process.exit(1));
  process.on('SIGTERM', () => process.exit(0));
} else {
  serve();
}
