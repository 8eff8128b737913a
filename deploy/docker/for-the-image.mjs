// Makes dependencies of all optional packages, in the versions that the tests run with, and leaves out what is only for development.
import { readFileSync, writeFileSync } from 'node:fs';

const { devDependencies, peerDependencies, peerDependenciesMeta: _optional, ...ours } = JSON.parse(readFileSync('package.json', 'utf8'));
for (const name of Object.keys(peerDependencies)) {
  if (devDependencies[name] === undefined) throw new Error(`${name} is not what the tests run with`);
  ours.dependencies[name] = devDependencies[name];
}
writeFileSync('package.json', `${JSON.stringify(ours, null, 2)}\n`);
