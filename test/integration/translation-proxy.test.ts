/**
 * What the control plane makes for our own proxy, our own proxy takes: every golden of the translation is compiled
 * by the proxy's own code. Only HTTP/2 to endpoints is refused, by name, because nothing else would be right, and
 * files that are not there.
 */
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { seededRandom } from '../../src/lib/random.ts'
import { compileCluster } from '../../src/proxy/config/compile-cluster.ts'
import { compileListener } from '../../src/proxy/config/compile-listener.ts'
import { compileRouteTable } from '../../src/proxy/config/compile-route-table.ts'
import type { Compiled } from '../../src/proxy/config/compiled.ts'
import { noRuntime } from '../../src/proxy/config/runtime-values.ts'
import { translateAll } from '../../src/translate/full.ts'
import { Cluster } from '../../src/xds/proto/generated/envoy/config/cluster/v3/cluster.ts'
import { Listener } from '../../src/xds/proto/generated/envoy/config/listener/v3/listener.ts'
import { RouteConfiguration } from '../../src/xds/proto/generated/envoy/config/route/v3/route.ts'
import { Any } from '../../src/xds/proto/generated/google/protobuf/any.ts'
import { typeUrls } from '../../src/xds/resource-set.ts'
import { readTranslationCase } from '../support/translation-case.ts'

const folder = join(import.meta.dirname, '../../src/translate/testdata')
/** As the agent's bootstrap has it. */
const secrets = { hasStatic: () => false, hasServer: (name: string) => name === 'sds-grpc' }
const scope = { random: seededRandom(1), hostname: 'here', runtime: noRuntime, secrets }

/** Refused for good: files of a host that is not this one, and what is missing without them. */
const expected = [
  /\.filename: ENOENT/,
  /tls_certificates\[0\]\.(certificate_chain|private_key): is required/,
  /transport_socket\.typed_config: No TLS certificates found for server context/,
]

const compilers: Readonly<Record<string, (bytes: Uint8Array) => Compiled<unknown>>> = {
  [typeUrls.cluster]: (bytes) => compileCluster(Cluster.decode(bytes), { secrets }),
  [typeUrls.listener]: (bytes) => compileListener(Listener.decode(bytes), scope),
  [typeUrls.route]: (bytes) => compileRouteTable(RouteConfiguration.decode(bytes)),
}

for (const name of readdirSync(folder).sort()) {
  test(`our own proxy takes the translation of ${name}`, () => {
    const text = readFileSync(join(folder, name, 'input.yaml'), 'utf8')
    const { input, node } = readTranslationCase(text)
    const view = translateAll(input, { ...node, userAgentName: 'tulle' })
    const reasons: string[] = []
    for (const [type, compile] of Object.entries(compilers)) {
      for (const resource of view.resources(type).values()) {
        const result = compile(Any.decode(resource.any).value)
        if (!result.ok) reasons.push(...result.reasons)
      }
    }
    const others = reasons.filter((reason) => !expected.some((pattern) => pattern.test(reason)))
    assert.deepEqual(others, [])
  })
}
