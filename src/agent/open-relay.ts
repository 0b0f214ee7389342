/**
 * Opens the relay between a workload's sidecar and the control plane, on a Unix socket in its state folder; on the same
 * socket the sidecar gets its secrets. Beside it the agent says how it is.
 */
import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'

import { openAdsRelay } from '../xds/ads-relay.ts'
import { createDiscoveryService, secretPaths, type DiscoveryService } from '../xds/ads-server.ts'
import { typeUrls } from '../xds/resource-set.ts'
import { nodeId } from './bootstrap-file.ts'
import { CredentialSource } from './credential/credential-source.ts'
import { joinSecrets } from './credential/joined-secrets.ts'
import { watchTrust } from './identity/trust-watch.ts'
import type { OpenRelay, OpenRelayOptions, WorkloadRelay } from './sidecar.ts'
import { agentSocketPath } from './socket-path.ts'
import { openStatusPort, openStatusServer } from './status-server.ts'

export const openRelay: OpenRelay = async (options) => {
  const { plan, identity, clock, random, log } = options
  const stack = new AsyncDisposableStack()
  const relaySocket = agentSocketPath(plan.stateFolder, 'relay.sock')
  mkdirSync(dirname(relaySocket), { recursive: true, mode: 0o700 })
  const { service, credentials } = openSecrets(options, stack)
  const relay = await openAdsRelay({
    listen: `unix:${relaySocket}`,
    upstream: plan.controlPlane,
    cache: { folder: join(plan.stateFolder, 'accepted') },
    ...(identity === undefined ? {} : { upstreamTls: () => identity.upstreamTls() }),
    methods: service.methods,
    clock,
    random,
    log,
  })
  stack.use(relay)
  const status = () => ({
    identity: identity?.status(),
    relay: relay.status(),
    isEnding: options.isEnding(),
    credentials: credentials.status(),
    refusedSecrets: refusedBy(service),
  })
  const path = agentSocketPath(plan.stateFolder, 'agent.sock')
  stack.use(await openStatusServer({ path, upgrade: options.upgrade, status, clock }))
  const { statusPort: port } = plan.proxy
  if (port !== undefined) {
    const { adminAddress } = options
    stack.use(await openStatusPort({ port, adminAddress, status, clock }))
  }
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

/** The workload's certificate, where it has one, and the credentials of its folder. */
function openSecrets(
  { plan, identity, clock, random, log }: OpenRelayOptions,
  stack: AsyncDisposableStack,
): { readonly service: DiscoveryService; readonly credentials: CredentialSource } {
  const credentials: CredentialSource = stack.use(
    new CredentialSource({
      folder: plan.credentials,
      asked: () => service.asked(typeUrls.secret),
      clock,
      log,
    }),
  )
  const service: DiscoveryService = stack.use(
    createDiscoveryService({
      paths: secretPaths,
      source: identity === undefined ? credentials : joinSecrets(identity.secrets, credentials),
      clock,
      random,
      log,
      // A secret is one push: there is nothing to collect.
      debounce: { leadingMs: 0, quietMs: 0 },
    }),
  )
  return { service, credentials }
}

/** Why the sidecar does not take a secret that was served. */
function refusedBy(service: DiscoveryService): readonly string[] {
  return service
    .statuses()
    .flatMap(({ types }) => types.flatMap(({ rejection }) => rejection?.reason ?? []))
}
