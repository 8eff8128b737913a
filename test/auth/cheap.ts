/** Cheap parameters: what is tested is what is done, not how slow it is. */
export const CHEAP = { memoryKiB: 64, passes: 1 };
