/** `1 user`, `12,345 users`. */
export function counted(count: number, noun: string): string {
  return `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`;
}

/** `0 bytes`, `1.5 MiB`. */
export function sized(bytes: number): string {
  if (bytes < 1024) return counted(bytes, 'byte');
  const power = Math.min(3, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(1)} ${['', 'KiB', 'MiB', 'GiB'][power]}`;
}
