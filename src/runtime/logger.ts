/** Where a node says what happened: one line a call, no secrets, nothing per request. Does not format times: the sink does. */
export interface Logger {
  info(line: string): void;
  warn(line: string): void;
  error(line: string): void;
}

export const silentLogger: Logger = { info() {}, warn() {}, error() {} };
