/**
 * Opens the relay between a workload's sidecar and the control plane, on a Unix socket in its state folder; on the same
 * socket the sidecar gets its secrets.
 */
import { createHash } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { openAdsRelay } from '../xds/ads-relay.ts'
import { createDiscoveryService, secretPaths } from '../xds/ads-server.ts'
import { nodeId } from './bootstrap-file.ts'
import { watchTrust } from './identity/trust-watch.ts'
import type { OpenRelay, OpenRelayOptions, WorkloadRelay } from './sidecar.ts'

/** The kernel's own limit is 108 bytes on Linux, 104 on macOS. */
const socketPathBytesMax = 100

export const openRelay: OpenRelay = async (options) => {
  const { plan, identity, clock, random, log } = options
  const stack = new AsyncDisposableStack()
  const relay = await openAdsRelay({
    listen: `unix:${socketPath(plan.stateFolder)}`,
    upstream: plan.controlPlane,
    cache: { folder: join(plan.stateFolder, 'accepted') },
    ...(identity === undefined
      ? {}
      : {
          upstreamTls: () => identity.upstreamTls(),
          methods: stack.use(secretService(options, identity)).methods,
        }),
    clock,
    random,
    log,
  })
  stack.use(relay)
  if (identity !== undefined) {
    stack.use(identity.onRenewed(() => relay.reopen('the certificate was renewed')))
    stack.use(
      watchTrust({
        target: plan.controlPlane,
        tls: () => identity.upstreamTls(),
        nodeId: nodeId(plan),
        trustDomain: plan.mesh.trustDomain,
        onTrust: (bundle) => identity.onTrust(bundle),
        clock,
        random,
        log,
      }),
    )
  }
  return {
    address: relay.address,
    reportHealth: (isHealthy, message) => relay.reportHealth(isHealthy, message),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  } satisfies WorkloadRelay
}

function secretService(
  { clock, random, log }: OpenRelayOptions,
  { secrets }: NonNullable<OpenRelayOptions['identity']>,
) {
  // A secret is one push: there is nothing to collect.
  const debounce = { leadingMs: 0, quietMs: 0 }
  return createDiscoveryService({
    paths: secretPaths,
    source: secrets,
    clock,
    random,
    log,
    debounce,
  })
}

/** In a folder of its own below the system's temporary one, when the state folder's path is too long. */
function socketPath(stateFolder: string): string {
  const path = join(stateFolder, 'relay.sock')
  if (Buffer.byteLength(path) <= socketPathBytesMax) return path
  const digest = createHash('sha256').update(stateFolder).digest('hex').slice(0, 16)
  const folder = join(tmpdir(), `tulle-${digest}`)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  return join(folder, 'relay.sock')
}
