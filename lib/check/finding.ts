/** What a check found, in words for the operator. */
export interface Finding {
  /** `problem`: data are lost, wrong, or will stop somebody's sync. `note`: worth knowing, and harmless. */
  level: 'problem' | 'note';
  /** A login name or a folder; undefined for the data folder as a whole. */
  about: string | undefined;
  text: string;
}

export type Tell = (level: Finding['level'], text: string) => void;

/** At most ten names, quoted, and how many more there are. */
export function someOf(names: readonly string[]): string {
  const shown = names.slice(0, 10).map((name) => JSON.stringify(name)).join(', ');
  return names.length > 10 ? `${shown} and ${names.length - 10} more` : shown;
}
