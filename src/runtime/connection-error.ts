/** The other side of a connection cannot be reached, went away, or did not answer in time. What was asked may have been done all the same. Says nothing of what was asked. */
export class ConnectionError extends Error {
  constructor(message: string, options?: { cause: unknown }) {
    super(message, options);
    this.name = 'ConnectionError';
  }

  /** Nothing listens where the other side was: its host is there, and said so. */
  get isRefused(): boolean {
    return (this.cause as NodeJS.ErrnoException | undefined)?.code === 'ECONNREFUSED';
  }
}
