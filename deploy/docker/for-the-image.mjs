// Two steps of the Dockerfile, in the folder of the build.
// "dependencies": makes dependencies of all optional packages, in the versions that the tests run with, and leaves out what is only for development.
// "files": removes what no Node.js on Linux with glibc loads. better-sqlite3 brings its C sources, and binaries for eight systems.
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

const steps = {
  dependencies() {
    const { devDependencies, peerDependencies, peerDependenciesMeta: _optional, ...ours } = JSON.parse(readFileSync('package.json', 'utf8'));
    for (const name of Object.keys(peerDependencies)) {
      if (devDependencies[name] === undefined) throw new Error(`${name} is not what the tests run with`);
      ours.dependencies[name] = devDependencies[name];
    }
    for (const name of Object.keys(ours.dependencies)) if (name.startsWith('@types/')) delete ours.dependencies[name];
    writeFileSync('package.json', `${JSON.stringify(ours, null, 2)}\n`);
  },
  files() {
    const sqlite = 'node_modules/better-sqlite3';
    for (const name of ['deps', 'src']) rmSync(`${sqlite}/${name}`, { recursive: true, force: true });
    for (const name of readdirSync(`${sqlite}/prebuilds`)) {
      if (!/^linux-(x64|arm64)\.node$/.test(name)) rmSync(`${sqlite}/prebuilds/${name}`);
    }
  },
};

steps[process.argv[2]]();
