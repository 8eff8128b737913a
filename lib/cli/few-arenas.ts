/**
 * glibc gives each thread that allocates an arena of its own and never takes one back, so that what a thread of ours once needed (a password
 * hash, a page cache, a packer) stays with the process. Two arenas for all cost no time here and 35 MiB less. The allocator reads its settings
 * before anything of ours runs: so the process becomes itself once more, with them set. Same process id, same standard streams.
 */
export function withFewArenas(): void {
  const { env, execArgv, argv } = process;
  // a channel to a parent process does not survive; other systems have other allocators
  if (process.platform !== 'linux' || env.MALLOC_ARENA_MAX !== undefined || process.connected) return;
  try {
    process.execve?.(process.execPath, [process.argv0, ...execArgv, ...argv.slice(1)], { ...env, MALLOC_ARENA_MAX: '2' });
  } catch {
    // forbidden here (Node's permission model): then it takes more memory
  }
}
