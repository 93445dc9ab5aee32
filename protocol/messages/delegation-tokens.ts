/** Delegation tokens. */
import { api, array, bytes, int16, int32, int64, message, string, struct } from '../schema.ts';

export const CreateDelegationTokenRequest = message({
  name: 'CreateDelegationTokenRequest',
  versions: '1-3',
  flexible: '2+',
  fields: {
    ownerPrincipalType: string('3+').nullable(),
    ownerPrincipalName: string('3+').nullable(),
    renewers: array(struct({
      principalType: string(),
      principalName: string(),
    })),
    maxLifetimeMs: int64(),
  },
});

export const CreateDelegationTokenResponse = message({
  name: 'CreateDelegationTokenResponse',
  versions: '1-3',
  flexible: '2+',
  fields: {
    errorCode: int16(),
    principalType: string(),
    principalName: string(),
    tokenRequesterPrincipalType: string('3+'),
    tokenRequesterPrincipalName: string('3+'),
    issueTimestampMs: int64(),
    expiryTimestampMs: int64(),
    maxTimestampMs: int64(),
    tokenId: string(),
    hmac: bytes(),
    throttleTimeMs: int32(),
  },
});

export const CreateDelegationToken = api({
  key: 38,
  name: 'CreateDelegationToken',
  request: CreateDelegationTokenRequest,
  response: CreateDelegationTokenResponse,
  listeners: ['broker', 'controller'],
});

export const RenewDelegationTokenRequest = message({
  name: 'RenewDelegationTokenRequest',
  versions: '1-2',
  flexible: '2+',
  fields: {
    hmac: bytes(),
    renewPeriodMs: int64(),
  },
});

export const RenewDelegationTokenResponse = message({
  name: 'RenewDelegationTokenResponse',
  versions: '1-2',
  flexible: '2+',
  fields: {
    errorCode: int16(),
    expiryTimestampMs: int64(),
    throttleTimeMs: int32(),
  },
});

export const RenewDelegationToken = api({
  key: 39,
  name: 'RenewDelegationToken',
  request: RenewDelegationTokenRequest,
  response: RenewDelegationTokenResponse,
  listeners: ['broker', 'controller'],
});

export const ExpireDelegationTokenRequest = message({
  name: 'ExpireDelegationTokenRequest',
  versions: '1-2',
  flexible: '2+',
  fields: {
    hmac: bytes(),
    expiryTimePeriodMs: int64(),
  },
});

export const ExpireDelegationTokenResponse = message({
  name: 'ExpireDelegationTokenResponse',
  versions: '1-2',
  flexible: '2+',
  fields: {
    errorCode: int16(),
    expiryTimestampMs: int64(),
    throttleTimeMs: int32(),
  },
});

export const ExpireDelegationToken = api({
  key: 40,
  name: 'ExpireDelegationToken',
  request: ExpireDelegationTokenRequest,
  response: ExpireDelegationTokenResponse,
  listeners: ['broker', 'controller'],
});

export const DescribeDelegationTokenRequest = message({
  name: 'DescribeDelegationTokenRequest',
  versions: '1-3',
  flexible: '2+',
  fields: {
    owners: array(struct({
      principalType: string(),
      principalName: string(),
    })).nullable(),
  },
});

export const DescribeDelegationTokenResponse = message({
  name: 'DescribeDelegationTokenResponse',
  versions: '1-3',
  flexible: '2+',
  fields: {
    errorCode: int16(),
    tokens: array(struct({
      principalType: string(),
      principalName: string(),
      tokenRequesterPrincipalType: string('3+'),
      tokenRequesterPrincipalName: string('3+'),
      issueTimestamp: int64(),
      expiryTimestamp: int64(),
      maxTimestamp: int64(),
      tokenId: string(),
      hmac: bytes(),
      renewers: array(struct({
        principalType: string(),
        principalName: string(),
      })),
    })),
    throttleTimeMs: int32(),
  },
});

export const DescribeDelegationToken = api({
  key: 41,
  name: 'DescribeDelegationToken',
  request: DescribeDelegationTokenRequest,
  response: DescribeDelegationTokenResponse,
  listeners: ['broker', 'controller'],
});
