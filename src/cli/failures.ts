/** What went wrong, in one line for the person at the terminal. Our own bugs keep their stack; everything foreseen has words of its own. */
import { DiskError } from '../../storage/disk.ts';
import { SettingError } from '../settings.ts';
import { UsageError } from './arguments.ts';

export interface Failure {
  readonly line: string;
  readonly exitCode: number;
}

/** Something foreseen that ends a command: its message is what the person reads. */
export class CommandError extends Error {
  constructor(message: string, options?: { cause: unknown }) {
    super(message, options);
    this.name = 'CommandError';
  }
}

export function explain(error: unknown): Failure {
  if (error instanceof UsageError || error instanceof SettingError) return { line: oneLine(error.message), exitCode: 2 };
  if (error instanceof CommandError) return { line: oneLine(error.message), exitCode: 1 };
  if (error instanceof DiskError) return { line: diskLine(error), exitCode: 1 };
  if (!(error instanceof Error)) return { line: String(error), exitCode: 1 };
  const network = networkLine(error);
  if (network !== undefined) return { line: network, exitCode: 1 };
  // Errors that our modules throw on purpose say all in their message, and have a name of their own.
  const isForeseen = error.name !== 'Error' && error.name.endsWith('Error') && !BUGS.has(error.name);
  return { line: isForeseen ? oneLine(error.message) : (error.stack ?? error.message), exitCode: 1 };
}

const BUGS = new Set(['TypeError', 'RangeError', 'ReferenceError', 'SyntaxError', 'EvalError', 'URIError', 'AssertionError']);

function oneLine(message: string): string {
  return message.replace(/\s*\n\s*/g, '; ');
}

export function diskLine(error: DiskError): string {
  switch (error.code) {
    case 'EBUSY':
      return `${error.path.replace(/\/\.lock$/, '')} is in use by ${/held by ([^,]+),/.exec(error.message)?.[1] ?? 'a living process'}: a data directory serves one broker at a time`;
    case 'ENOSPC':
    case 'EDQUOT':
      return `the disk is full (writing ${error.path})`;
    case 'EACCES':
    case 'EPERM':
      return `no permission for ${error.path}`;
    case 'EROFS':
      return `${error.path} is on a read-only file system`;
    case 'ENOTDIR':
    case 'EEXIST':
      return `${error.path} is in the way: a directory is needed there`;
    case 'ENOENT':
      // Node says ENOENT where it cannot make a directory on a read-only file system.
      if (error.message.includes('mkdir')) return `cannot make the directory ${error.path}`;
      return `there is no ${error.path}`;
    case 'EIO':
      return `the disk cannot be read or written at ${error.path}`;
    default:
      return error.message;
  }
}

interface SystemError extends Error {
  readonly code?: string;
  readonly address?: string;
  readonly hostname?: string;
  readonly port?: number;
}

function networkLine(error: SystemError): string | undefined {
  const at = error.address === undefined ? '' : ` ${error.address}${error.port === undefined ? '' : `:${error.port}`}`;
  switch (error.code) {
    case 'EADDRINUSE':
      return `port ${error.port ?? ''} is in use${error.address === undefined ? '' : ` on ${error.address}`}; choose another with --port`;
    case 'EADDRNOTAVAIL':
      return `cannot listen on${at}: this machine has no such address`;
    case 'EACCES':
      return error.port === undefined ? undefined : `no permission to listen on${at}`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `cannot find the host${at === '' ? ` ${error.hostname ?? error.message}` : at}`;
    case 'ECONNREFUSED':
      return `nothing listens at${at}`;
    default:
      return undefined;
  }
}
