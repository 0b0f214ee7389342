/** The certificate service as a unary client of another make calls it: request, end of its side, then the wait. */
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Client, credentials, status, type ServiceError } from '@grpc/grpc-js'

import { systemClock } from '../lib/clock.ts'
import { silentLog } from '../lib/log.ts'
import { caPath, createCaMethods, type CertificateCall } from './ca-server.ts'
import { openGrpcServer } from './grpc/grpc-server.ts'
import {
  IstioCertificateRequest,
  IstioCertificateResponse,
} from './proto/generated/istio/v1/auth/ca.ts'

function openServer(created: CertificateCall[]) {
  const create = async (call: CertificateCall) => {
    created.push(call)
    // A real authority takes milliseconds: the client's end of stream comes first.
    await new Promise((resolve) => setTimeout(resolve, 20))
    return { ok: true as const, chain: ['leaf', 'root'] }
  }
  return openGrpcServer({
    listen: { host: '127.0.0.1', port: 0 },
    methods: createCaMethods({ create, log: silentLog }),
    clock: systemClock,
    log: silentLog,
  })
}

test('a client that ends its side with the request still gets the certificate', async () => {
  const created: CertificateCall[] = []
  await using server = await openServer(created)
  const client = new Client(server.address, credentials.createInsecure())
  try {
    const response = await new Promise<IstioCertificateResponse>((resolve, reject) => {
      client.makeUnaryRequest(
        caPath,
        (request: IstioCertificateRequest) =>
          Buffer.from(IstioCertificateRequest.encode(request).finish()),
        (bytes) => IstioCertificateResponse.decode(bytes),
        IstioCertificateRequest.fromPartial({ csr: 'a request' }),
        (error, value) => (value === undefined ? reject(error as Error) : resolve(value)),
      )
    })
    assert.deepEqual(response.certChain, ['leaf', 'root'])
    assert.deepEqual(
      created.map(({ csrPem }) => csrPem),
      ['a request'],
    )
  } finally {
    client.close()
  }
})

test('a call that ends without a request is an INVALID_ARGUMENT', async () => {
  const created: CertificateCall[] = []
  await using server = await openServer(created)
  const client = new Client(server.address, credentials.createInsecure())
  try {
    const refused = await new Promise<ServiceError | null>((resolve) => {
      const call = client.makeClientStreamRequest(
        caPath,
        () => Buffer.alloc(0),
        (bytes) => bytes,
        (error) => resolve(error),
      )
      call.end()
    })
    assert.equal(refused?.code, status.INVALID_ARGUMENT)
    assert.match(refused.details, /no request/)
    assert.deepEqual(created, [])
  } finally {
    client.close()
  }
})
