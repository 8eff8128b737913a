/** Preloaded by a server: a `download` keeps its thread within SQLite, for ever. It says so, and goes on when it is ended. */
import { createRequire, syncBuiltinESMExports } from 'node:module';
import threads from 'node:worker_threads';

if (threads.isMainThread) {
  const { Worker } = threads;
  threads.Worker = class extends Worker {
    constructor(file, options) {
      super(file, { ...options, execArgv: ['--import', import.meta.url] });
    }
  };
  syncBuiltinESMExports();
} else {
  const Database = createRequire(import.meta.url)('better-sqlite3');
  const { prepare } = Database.prototype;
  Database.prototype.prepare = function (sql) {
    if (sql.startsWith('UPDATE col SET usn = usn + 1, mod = ') && !sql.includes('RETURNING')) {
      process._rawDebug('deep in SQLite');
      prepare.call(this, 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n').get();
    }
    return prepare.call(this, sql);
  };
}
