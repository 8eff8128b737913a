#!/usr/bin/env node
// Must start on any Node, however old, to say which one is needed: so nothing is imported before the check.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 24 || (major === 24 && minor < 7)) {
  console.error(`anki-sync needs Node.js 24.7 or newer, and this is ${process.versions.node}`);
  process.exitCode = 1;
} else {
  const argv = process.argv.slice(2);
  if (argv[0] === 'serve' || argv[0] === 'gateway') (await import('./cli/few-arenas.ts')).withFewArenas();
  // Buffers of streams are given back when their young objects are collected. A young generation that stays small collects them
  // often: 25 MiB less while a large collection comes or goes, at no cost in speed, since this thread only moves bytes.
  const { setFlagsFromString } = await import('node:v8');
  setFlagsFromString('--semi-space-growth-factor=1');
  const { main } = await import('./cli.ts');
  process.exitCode = await main(argv);
}
export {};
