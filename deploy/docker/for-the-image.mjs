// Makes dependencies of the optional packages, in the versions that the tests run with, and leaves out what is only for development.
import { readFileSync, writeFileSync } from 'node:fs';

const OPTIONAL = ['ldapts', 'openid-client', 'pino', 'prom-client', 'smol-toml'];

const { devDependencies, peerDependencies: _peers, peerDependenciesMeta: _meta, ...ours } = JSON.parse(readFileSync('package.json', 'utf8'));
for (const name of OPTIONAL) {
  if (devDependencies[name] === undefined) throw new Error(`${name} is not in package.json`);
  ours.dependencies[name] = devDependencies[name];
}
writeFileSync('package.json', `${JSON.stringify(ours, null, 2)}\n`);
