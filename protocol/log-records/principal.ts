/** A principal as it travels inside an Envelope and is kept with delegation tokens: int16 version, then this message. */
import { bool, message, string } from '../schema.ts';

export const DefaultPrincipalData = message({
  name: 'DefaultPrincipalData',
  versions: '0',
  flexible: '0+',
  fields: {
    type: string(),
    name: string(),
    tokenAuthenticated: bool(),
  },
});
