/** Access control lists. */
import { api, array, int16, int32, int8, message, string, struct } from '../schema.ts';

export const DescribeAclsRequest = message({
  name: 'DescribeAclsRequest',
  versions: '1-3',
  flexible: '2+',
  fields: {
    resourceTypeFilter: int8(),
    resourceNameFilter: string().nullable(),
    patternTypeFilter: int8().default(3),
    principalFilter: string().nullable(),
    hostFilter: string().nullable(),
    operation: int8(),
    permissionType: int8(),
  },
});

export const DescribeAclsResponse = message({
  name: 'DescribeAclsResponse',
  versions: '1-3',
  flexible: '2+',
  fields: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    errorMessage: string().nullable(),
    resources: array(struct({
      resourceType: int8(),
      resourceName: string(),
      patternType: int8().default(3),
      acls: array(struct({
        principal: string(),
        host: string(),
        operation: int8(),
        permissionType: int8(),
      })),
    })),
  },
});

export const DescribeAcls = api({
  key: 29,
  name: 'DescribeAcls',
  request: DescribeAclsRequest,
  response: DescribeAclsResponse,
  listeners: ['broker', 'controller'],
});

export const CreateAclsRequest = message({
  name: 'CreateAclsRequest',
  versions: '1-3',
  flexible: '2+',
  fields: {
    creations: array(struct({
      resourceType: int8(),
      resourceName: string(),
      resourcePatternType: int8().default(3),
      principal: string(),
      host: string(),
      operation: int8(),
      permissionType: int8(),
    })),
  },
});

export const CreateAclsResponse = message({
  name: 'CreateAclsResponse',
  versions: '1-3',
  flexible: '2+',
  fields: {
    throttleTimeMs: int32(),
    results: array(struct({
      errorCode: int16(),
      errorMessage: string().nullable(),
    })),
  },
});

export const CreateAcls = api({
  key: 30,
  name: 'CreateAcls',
  request: CreateAclsRequest,
  response: CreateAclsResponse,
  listeners: ['broker', 'controller'],
});

export const DeleteAclsRequest = message({
  name: 'DeleteAclsRequest',
  versions: '1-3',
  flexible: '2+',
  fields: {
    filters: array(struct({
      resourceTypeFilter: int8(),
      resourceNameFilter: string().nullable(),
      patternTypeFilter: int8().default(3),
      principalFilter: string().nullable(),
      hostFilter: string().nullable(),
      operation: int8(),
      permissionType: int8(),
    })),
  },
});

export const DeleteAclsResponse = message({
  name: 'DeleteAclsResponse',
  versions: '1-3',
  flexible: '2+',
  fields: {
    throttleTimeMs: int32(),
    filterResults: array(struct({
      errorCode: int16(),
      errorMessage: string().nullable(),
      matchingAcls: array(struct({
        errorCode: int16(),
        errorMessage: string().nullable(),
        resourceType: int8(),
        resourceName: string(),
        patternType: int8().default(3),
        principal: string(),
        host: string(),
        operation: int8(),
        permissionType: int8(),
      })),
    })),
  },
});

export const DeleteAcls = api({
  key: 31,
  name: 'DeleteAcls',
  request: DeleteAclsRequest,
  response: DeleteAclsResponse,
  listeners: ['broker', 'controller'],
});
