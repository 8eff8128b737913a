/**
 * What can be wrong with users at start or on the command line. The reader is the operator, never a client:
 * none of these reaches a request. The message says what to do, and holds no password, key or hash.
 */
export type UsersErrorCode =
  | 'USER_EXISTS'
  | 'USER_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAMES_CLASH'
  | 'PASSWORD_INVALID'
  | 'APP_PASSWORD_INVALID'
  | 'QUOTA_INVALID'
  | 'CASE_RULE_FIXED'
  | 'FOLDER_AMBIGUOUS'
  | 'DATABASE_TOO_NEW'
  | 'DATABASE_DAMAGED'
  | 'DATABASE_UNUSABLE'
  | 'ENVIRONMENT_INVALID'
  | 'FILE_INVALID';

export class UsersError extends Error {
  readonly code: UsersErrorCode;

  constructor(code: UsersErrorCode, message: string) {
    super(message);
    this.name = 'UsersError';
    this.code = code;
  }
}
