/** What an agent is to its proxy: a server of secrets on a Unix socket, whose secrets a test changes at will. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { systemRandom } from '../../src/lib/random.ts'
import { createDiscoveryService, secretPaths } from '../../src/xds/ads-server.ts'
import { encodedResource } from '../../src/xds/encode.ts'
import { openGrpcServer } from '../../src/xds/grpc/grpc-server.ts'
import { MessageJson } from '../../src/xds/json.ts'
import { Secret } from '../../src/xds/proto/generated/envoy/extensions/transport_sockets/tls/v3/secret.ts'
import { type EncodedResource, typeUrls } from '../../src/xds/resource-set.ts'
import { TestSource } from './ads-source.ts'
import type { TestLeaf } from './test-certificate.ts'
import { certificateJson, validationJson } from './transport-socket.ts'

export interface SecretServer extends AsyncDisposable {
  readonly path: string
  set(secrets: {
    readonly leaf: TestLeaf
    readonly bundles: Readonly<Record<string, string>>
  }): void
  /** Any JSON of secrets. */
  setJson(secrets: readonly object[]): void
  /** What the last client said of the last secrets: a reason, or undefined for an ACK. */
  rejection(): string | undefined
}

const json = new MessageJson()

export async function openSecretServer(): Promise<SecretServer> {
  const folder = mkdtempSync(join(tmpdir(), 'sds-'))
  const path = join(folder, 's')
  const source = new TestSource()
  let revision = 0
  const service = createDiscoveryService({
    paths: secretPaths,
    source,
    clock: systemClock,
    random: systemRandom,
    log: silentLog,
    debounce: { leadingMs: 0, quietMs: 0, waitMsMax: 1 },
  })
  const grpc = await openGrpcServer({
    listen: { path },
    clock: systemClock,
    log: silentLog,
    methods: service.methods,
  })
  const setJson = (secrets: readonly object[]): void => {
    const resources = new Map<string, EncodedResource>(secrets.map(encoded))
    const none = new Map<string, EncodedResource>()
    source.setView({
      revision: String(++revision),
      resources: (typeUrl) => (typeUrl === typeUrls.secret ? resources : none),
    })
  }
  return {
    path,
    setJson,
    set({ leaf, bundles }) {
      setJson([
        { name: 'default', tls_certificate: certificateJson(leaf) },
        { name: 'ROOTCA', validation_context: validationJson({ certificate: undefined, bundles }) },
      ])
    },
    rejection() {
      const types = service.statuses().flatMap((status) => status.types)
      return types.map((type) => type.rejection?.reason).find((text) => text !== undefined)
    },
    async [Symbol.asyncDispose]() {
      service[Symbol.dispose]()
      await grpc[Symbol.asyncDispose]()
      rmSync(folder, { recursive: true })
    },
  }
}

function encoded(secret: object): readonly [string, EncodedResource] {
  const message = json.parse(typeUrls.secret, Secret, secret)
  const value = Secret.encode(message).finish()
  return [message.name, encodedResource(message.name, typeUrls.secret, value)]
}
