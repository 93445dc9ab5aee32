/** The headers before a request and a response. Which version goes before what is told by `frame.ts`. */
import { int16, int32, message, string } from './schema.ts';

export const RequestHeader = message({
  name: 'RequestHeader',
  versions: '1-2',
  flexible: '2+',
  fields: {
    requestApiKey: int16(),
    requestApiVersion: int16(),
    correlationId: int32(),
    clientId: string().nullable().inflexible(),
  },
});

export const ResponseHeader = message({
  name: 'ResponseHeader',
  versions: '0-1',
  flexible: '1+',
  fields: {
    correlationId: int32(),
  },
});
