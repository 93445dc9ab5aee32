/** Envelopes: what the active controller takes out of them, as Apache Kafka 4.3.1 answers the same bytes, and what a broker makes of its answer. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeBuffer } from '../../../protocol/compile.ts';
import { ErrorCode, errorName, KafkaError } from '../../../protocol/errors.ts';
import { decodeResponseFrame, encodeRequestFrame, encodeResponseFrame } from '../../../protocol/frame.ts';
import { DefaultPrincipalData } from '../../../protocol/log-records/principal.ts';
import { DescribeConfigs } from '../../../protocol/messages/configs.ts';
import { Envelope } from '../../../protocol/messages/cluster.ts';
import { DescribeCluster, Metadata } from '../../../protocol/messages/metadata.ts';
import { CreateTopics } from '../../../protocol/messages/topics.ts';
import { addressBytes, addressText } from '../../../src/api/address-bytes.ts';
import { openAnswer, sealEnvelope } from '../../../src/api/envelope.ts';
import { forwardToController } from '../../../src/api/forwarding.ts';
import type { Node } from '../../../src/api/node.ts';
import { closeConnection, serve } from '../../../src/api/serve.ts';
import type { RequestContext } from '../../../src/api/serve.ts';
import { MetadataImage } from '../../../src/quorum/image.ts';
import { ConnectionError } from '../../../src/runtime/connection-error.ts';
import { RawClient, startWorld } from '../broker-world.ts';
import type { World } from '../broker-world.ts';
import { FakeTime, settle } from '../server/fake-world.ts';

const inner = (api: Parameters<typeof encodeRequestFrame>[0], version: number, input: object) =>
  Buffer.concat(encodeRequestFrame(api, version, { correlationId: 77, clientId: 'inner' }, input as never)).subarray(4);
const create = (name: string) => inner(CreateTopics, 7, { topics: [{ name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }], timeoutMs: 5000, validateOnly: false });
const principal = Buffer.concat([Buffer.from([0, 0]), encodeBuffer(DefaultPrincipalData, 0, { type: 'User', name: 'ANONYMOUS', tokenAuthenticated: false })]);
const address = Buffer.from([127, 0, 0, 1]);

describe('an envelope', () => {
  let world: World;
  let client: RawClient;
  beforeAll(async () => {
    world = await startWorld({ set: ['listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:0'] });
    client = await RawClient.connect(world.broker.ports.get('CONTROLLER')!);
  });
  afterAll(() => world.broker.stop());

  const ask = (changes: object = {}) => client.ask(Envelope, 0, { requestData: create('t'), requestPrincipal: principal, clientHostAddress: address, ...changes });

  test('holds the answer to the request that was in it', async () => {
    for (const expected of ['NONE', 'TOPIC_ALREADY_EXISTS']) {
      const { errorCode, responseData } = await ask();
      expect(errorCode).toBe(ErrorCode.NONE);
      const { correlationId, body } = decodeResponseFrame(CreateTopics, 7, responseData!);
      expect([correlationId, body.topics.map((topic) => [topic.name, errorName(topic.errorCode)])]).toEqual([77, [['t', expected]]]);
    }
  });

  const version = (number: number) => {
    const data = create('u');
    data.writeInt16BE(number, 2);
    return data;
  };
  const key = (number: number) => {
    const data = create('u');
    data.writeInt16BE(number, 0);
    return data;
  };
  test.each<[string, object, string]>([
    ['a request that is not for the controller', { requestData: inner(Metadata, 9, { topics: [] }) }, 'INVALID_REQUEST'],
    ['one that each node answers for itself', { requestData: inner(DescribeConfigs, 4, { resources: [] }) }, 'INVALID_REQUEST'],
    ['one that means something else here', { requestData: inner(DescribeCluster, 1, { includeClusterAuthorizedOperations: false, endpointType: 2 }) }, 'INVALID_REQUEST'],
    ['an envelope', { requestData: inner(Envelope, 0, { requestData: create('u'), requestPrincipal: principal, clientHostAddress: address }) }, 'INVALID_REQUEST'],
    ['nobody', { requestPrincipal: null }, 'PRINCIPAL_DESERIALIZATION_FAILURE'],
    ['an empty name', { requestPrincipal: Buffer.alloc(0) }, 'PRINCIPAL_DESERIALIZATION_FAILURE'],
    ['a name in a form of the future', { requestPrincipal: Buffer.concat([Buffer.from([0, 9]), principal.subarray(2)]) }, 'PRINCIPAL_DESERIALIZATION_FAILURE'],
    ['a name that is none', { requestPrincipal: Buffer.from([0, 0, 255, 255, 255, 255]) }, 'PRINCIPAL_DESERIALIZATION_FAILURE'],
    ['an address of five bytes', { clientHostAddress: Buffer.alloc(5) }, 'INVALID_REQUEST'],
    ['no address', { clientHostAddress: Buffer.alloc(0) }, 'INVALID_REQUEST'],
    ['a version of the future', { requestData: version(99) }, 'UNSUPPORTED_VERSION'],
    ['a version of the past', { requestData: version(0) }, 'UNSUPPORTED_VERSION'],
    ['an API that nobody knows', { requestData: key(9999) }, 'UNSUPPORTED_VERSION'],
    ['less than a header', { requestData: create('u').subarray(0, 5) }, 'UNSUPPORTED_VERSION'],
    ['nothing', { requestData: Buffer.alloc(0) }, 'UNSUPPORTED_VERSION'],
    ['a body that is cut short', { requestData: create('u').subarray(0, -4) }, 'UNSUPPORTED_VERSION'],
  ])('with %s is refused', async (_what, changes, expected) => {
    const { errorCode, responseData } = await ask(changes);
    expect([errorName(errorCode), responseData]).toEqual([expected, null]);
    expect(world.broker.image().topic('u')).toBeUndefined();
  });
});

describe('addresses', () => {
  test.each(['127.0.0.1', '255.255.255.255', '0:0:0:0:0:0:0:1', '2001:db8:0:0:0:0:a:b'])('%s', (text) => expect(addressText(addressBytes(text))).toBe(text));
  test.each([['::1', '0:0:0:0:0:0:0:1'], ['fe80::1%eth0', 'fe80:0:0:0:0:0:0:1'], ['::ffff:10.0.0.1', '10.0.0.1']])('%s is %s', (short, long) => expect(addressText(addressBytes(short))).toBe(long));
  test.each(['', 'localhost', '1.2.3', '1.2.3.256', '1:2', 'g::1'])('%j is none', (text) => expect(() => addressBytes(text)).toThrow(RangeError));
});

describe('what a broker passes on', () => {
  const time = new FakeTime();
  const request = { topics: [{ name: 't', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }], timeoutMs: 1000, validateOnly: false };
  let image = MetadataImage.EMPTY;
  let publish = () => {};
  const served = serve(CreateTopics, '2-7', {
    forward: true, arrived: (_request, _response, { offset }) => offset >= 5, handle: () => { throw new Error('not here'); }, onError: () => ({ throttleTimeMs: 0, topics: [] }),
  });
  const context = (answer: () => Promise<unknown>) => ({
    apiVersion: 7, correlationId: 9, clientId: 'c', connection: { principal: 'User:alice', remoteAddress: '10.1.2.3' },
    node: {
      controllerChannel: { request: answer }, image: () => image, runtime: { timers: time },
      quorum: { subscribe: (listener: (changes: { image: MetadataImage }) => void) => ((publish = () => listener({ image })), () => {}) },
    } as unknown as Node,
  }) as unknown as RequestContext;
  const answerOf = (correlationId: number) => Buffer.concat(encodeResponseFrame(CreateTopics, 7, correlationId, { throttleTimeMs: 0, topics: [{ name: 't', errorCode: 0, errorMessage: null }] })).subarray(4);

  test('has the name, the address and the request of the client', () => {
    const sealed = sealEnvelope(CreateTopics, request, context(async () => null));
    expect([...sealed.clientHostAddress]).toEqual([10, 1, 2, 3]);
    expect(sealed.requestPrincipal).toEqual(Buffer.concat([Buffer.from([0, 0]), encodeBuffer(DefaultPrincipalData, 0, { type: 'User', name: 'alice', tokenAuthenticated: false })]));
    expect(sealed.requestData).toEqual(Buffer.concat(encodeRequestFrame(CreateTopics, 7, { correlationId: 9, clientId: 'c' }, request)).subarray(4));
  });

  test('is answered when the metadata of this broker show it, or have had their time', async () => {
    image = MetadataImage.EMPTY;
    const ask = () => forwardToController(served, request, context(async () => ({ errorCode: 0, responseData: answerOf(9) })));
    let answered: unknown;
    void ask().then((answer) => (answered = answer));
    await settle();
    publish();
    await settle();
    expect(answered).toBeUndefined();
    image = new MetadataImage({ ...MetadataImage.EMPTY, offset: 5 });
    publish();
    await settle();
    expect(answered).toMatchObject({ topics: [{ name: 't', errorCode: 0 }] });

    image = MetadataImage.EMPTY;
    answered = undefined;
    void ask().then((answer) => (answered = answer));
    await settle();
    await time.advance(1000);
    expect(answered).toBeDefined();
  });

  test.each<[string, () => Promise<unknown>, unknown]>([
    ['no controller in time', () => Promise.reject(new ConnectionError('nobody')), ErrorCode.REQUEST_TIMED_OUT],
    ['an envelope that is refused', async () => ({ errorCode: ErrorCode.CLUSTER_AUTHORIZATION_FAILED, responseData: null }), ErrorCode.CLUSTER_AUTHORIZATION_FAILED],
    ['an answer to something else', async () => ({ errorCode: 0, responseData: answerOf(10) }), ErrorCode.UNKNOWN_SERVER_ERROR],
    ['no answer', async () => ({ errorCode: 0, responseData: null }), ErrorCode.UNKNOWN_SERVER_ERROR],
    ['an answer that is cut short', async () => ({ errorCode: 0, responseData: answerOf(9).subarray(0, -1) }), ErrorCode.UNKNOWN_SERVER_ERROR],
  ])('%s is an error of the request', async (_what, answer, code) => {
    await expect(forwardToController(served, request, context(answer))).rejects.toMatchObject({ code });
  });

  test('and a controller of another version closes the connection, so that the client asks for versions again', async () => {
    await expect(forwardToController(served, request, context(async () => ({ errorCode: ErrorCode.UNSUPPORTED_VERSION, responseData: null })))).resolves.toBe(closeConnection);
    expect(() => openAnswer(CreateTopics, { errorCode: ErrorCode.NOT_CONTROLLER, responseData: null }, context(async () => null))).toThrow(KafkaError);
  });
});
