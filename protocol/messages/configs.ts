/** Settings of topics, brokers, groups and client metrics, and the quotas of clients. */
import { api, array, bool, float64, int16, int32, int8, message, string, struct } from '../schema.ts';

export const DescribeConfigsRequest = message({
  name: 'DescribeConfigsRequest',
  versions: '1-4',
  flexible: '4+',
  fields: {
    resources: array(struct({
      resourceType: int8(),
      resourceName: string(),
      configurationKeys: array(string()).nullable(),
    })),
    includeSynonyms: bool().default(false),
    includeDocumentation: bool('3+').default(false),
  },
});

export const DescribeConfigsResponse = message({
  name: 'DescribeConfigsResponse',
  versions: '1-4',
  flexible: '4+',
  fields: {
    throttleTimeMs: int32(),
    results: array(struct({
      errorCode: int16(),
      errorMessage: string().nullable(),
      resourceType: int8(),
      resourceName: string(),
      configs: array(struct({
        name: string(),
        value: string().nullable(),
        readOnly: bool(),
        configSource: int8().default(-1),
        isSensitive: bool(),
        synonyms: array(struct({
          name: string(),
          value: string().nullable(),
          source: int8(),
        })),
        configType: int8('3+').default(0).ignorable(),
        documentation: string('3+').nullable().ignorable(),
      })),
    })),
  },
});

export const DescribeConfigs = api({
  key: 32,
  name: 'DescribeConfigs',
  request: DescribeConfigsRequest,
  response: DescribeConfigsResponse,
  listeners: ['broker', 'controller'],
});

export const AlterConfigsRequest = message({
  name: 'AlterConfigsRequest',
  versions: '0-2',
  flexible: '2+',
  fields: {
    resources: array(struct({
      resourceType: int8(),
      resourceName: string(),
      configs: array(struct({
        name: string(),
        value: string().nullable(),
      })),
    })),
    validateOnly: bool(),
  },
});

export const AlterConfigsResponse = message({
  name: 'AlterConfigsResponse',
  versions: '0-2',
  flexible: '2+',
  fields: {
    throttleTimeMs: int32(),
    responses: array(struct({
      errorCode: int16(),
      errorMessage: string().nullable(),
      resourceType: int8(),
      resourceName: string(),
    })),
  },
});

export const AlterConfigs = api({
  key: 33,
  name: 'AlterConfigs',
  request: AlterConfigsRequest,
  response: AlterConfigsResponse,
  listeners: ['broker', 'controller'],
});

export const IncrementalAlterConfigsRequest = message({
  name: 'IncrementalAlterConfigsRequest',
  versions: '0-1',
  flexible: '1+',
  fields: {
    resources: array(struct({
      resourceType: int8(),
      resourceName: string(),
      configs: array(struct({
        name: string(),
        configOperation: int8(),
        value: string().nullable(),
      })),
    })),
    validateOnly: bool(),
  },
});

export const IncrementalAlterConfigsResponse = message({
  name: 'IncrementalAlterConfigsResponse',
  versions: '0-1',
  flexible: '1+',
  fields: {
    throttleTimeMs: int32(),
    responses: array(struct({
      errorCode: int16(),
      errorMessage: string().nullable(),
      resourceType: int8(),
      resourceName: string(),
    })),
  },
});

export const IncrementalAlterConfigs = api({
  key: 44,
  name: 'IncrementalAlterConfigs',
  request: IncrementalAlterConfigsRequest,
  response: IncrementalAlterConfigsResponse,
  listeners: ['broker', 'controller'],
});

export const ListConfigResourcesRequest = message({
  name: 'ListConfigResourcesRequest',
  versions: '0-1',
  flexible: '0+',
  fields: {
    resourceTypes: array(int8(), '1+'),
  },
});

export const ListConfigResourcesResponse = message({
  name: 'ListConfigResourcesResponse',
  versions: '0-1',
  flexible: '0+',
  fields: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    configResources: array(struct({
      resourceName: string(),
      resourceType: int8('1+').default(16).ignorable(),
    })),
  },
});

export const ListConfigResources = api({
  key: 74,
  name: 'ListConfigResources',
  request: ListConfigResourcesRequest,
  response: ListConfigResourcesResponse,
  listeners: ['broker'],
});

export const DescribeClientQuotasRequest = message({
  name: 'DescribeClientQuotasRequest',
  versions: '0-1',
  flexible: '1+',
  fields: {
    components: array(struct({
      entityType: string(),
      matchType: int8(),
      match: string().nullable(),
    })),
    strict: bool(),
  },
});

export const DescribeClientQuotasResponse = message({
  name: 'DescribeClientQuotasResponse',
  versions: '0-1',
  flexible: '1+',
  fields: {
    throttleTimeMs: int32(),
    errorCode: int16(),
    errorMessage: string().nullable(),
    entries: array(struct({
      entity: array(struct({
        entityType: string(),
        entityName: string().nullable(),
      })),
      values: array(struct({
        key: string(),
        value: float64(),
      })),
    })).nullable(),
  },
});

export const DescribeClientQuotas = api({
  key: 48,
  name: 'DescribeClientQuotas',
  request: DescribeClientQuotasRequest,
  response: DescribeClientQuotasResponse,
  listeners: ['broker'],
});

export const AlterClientQuotasRequest = message({
  name: 'AlterClientQuotasRequest',
  versions: '0-1',
  flexible: '1+',
  fields: {
    entries: array(struct({
      entity: array(struct({
        entityType: string(),
        entityName: string().nullable(),
      })),
      ops: array(struct({
        key: string(),
        value: float64(),
        remove: bool(),
      })),
    })),
    validateOnly: bool(),
  },
});

export const AlterClientQuotasResponse = message({
  name: 'AlterClientQuotasResponse',
  versions: '0-1',
  flexible: '1+',
  fields: {
    throttleTimeMs: int32(),
    entries: array(struct({
      errorCode: int16(),
      errorMessage: string().nullable(),
      entity: array(struct({
        entityType: string(),
        entityName: string().nullable(),
      })),
    })),
  },
});

export const AlterClientQuotas = api({
  key: 49,
  name: 'AlterClientQuotas',
  request: AlterClientQuotasRequest,
  response: AlterClientQuotasResponse,
  listeners: ['broker', 'controller'],
});
