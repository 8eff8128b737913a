-- A database of users as version 2 of the schema left it: Ann (password, two devices), Bob (from elsewhere, one device), Eve (disabled).
BEGIN TRANSACTION;
CREATE TABLE host_keys (
     key_hash TEXT PRIMARY KEY,               -- SHA-256, base64url
     key_id TEXT NOT NULL UNIQUE,
     user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
     client TEXT NOT NULL,
     address TEXT,
     issued_secs INTEGER NOT NULL,
     last_used_day INTEGER NOT NULL           -- days since 1970, UTC
   , environment_seal TEXT) STRICT, WITHOUT ROWID;
INSERT INTO "host_keys" VALUES('9Zm3_8z3k1rpWP4pOhLA68vBK8H4CQPyNdq-cu_T0l8','jm7b6bausbor','psksx62edw5mleaj','26.9.3,d1e7cf4b,linux','192.0.2.1',1795279648,20778,NULL);
INSERT INTO "host_keys" VALUES('F71vPfwtuWKVUveyvISomUlGP-3MzjDnBH3y5GEbtcw','eaan7y22yn2a','t6by3pjyp7fhhfzt','anki,25.09.2 (3890e12c),android:2.23.3:14:Pixel 7',NULL,1795279648,20778,NULL);
INSERT INTO "host_keys" VALUES('gTp9RDYa7cHCB8508dsjTcFjlAa9S6lLq2D4eYWP5y8','ut2tyo2lbx25','psksx62edw5mleaj','',NULL,1795279648,20778,NULL);
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO "settings" VALUES('case_sensitive','0');
INSERT INTO "settings" VALUES('created_secs','1795279648');
CREATE TABLE users (
     id TEXT PRIMARY KEY,
     login_name TEXT NOT NULL,
     login_key TEXT NOT NULL UNIQUE,          -- login name under the case rule
     folder TEXT NOT NULL UNIQUE,
     folder_fold TEXT NOT NULL,               -- equal where some file system may take two folders for one
     routing_id TEXT NOT NULL UNIQUE,         -- public: the middle part of the user's host keys
     password_hash TEXT,                      -- PHC; null: known from another authenticator
     environment_hash TEXT,                   -- under which password of the environment the keys were issued; see env-host-keys.ts
     disabled INTEGER NOT NULL DEFAULT 0,
     created_secs INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
INSERT INTO "users" VALUES('gf3eyldfa62glym6','eve','eve','eve','eve','xc6wm622sqbsntua','$argon2id$v=19$m=64,t=1,p=1$nO+hs40xiSL1yHGDnq9E+A$2A3f6IkZC6SQCmgK8CxItNIssAVzvqgv94rbPJBCaoI',NULL,1,1795279648);
INSERT INTO "users" VALUES('psksx62edw5mleaj','Ann@example.org','ann@example.org','Ann@example.org','ann@example.org','vxsd5k3rg5q3mmu5','$argon2id$v=19$m=64,t=1,p=1$olJ7+PZFw68rpnSNjQeLUw$75aBJItF57YokHN0WabS1N+N0XXUI6asxmHHQBrsa+s',NULL,0,1795279648);
INSERT INTO "users" VALUES('t6by3pjyp7fhhfzt','bob','bob','bob','bob','5uukyja45hp5kyv2',NULL,'basis:none',0,1795279648);
CREATE INDEX users_by_folder_fold ON users (folder_fold);
CREATE INDEX host_keys_of_user ON host_keys (user_id);
COMMIT;
PRAGMA user_version = 2;
