/** Pairs of proxies of one kind with mutual TLS between them: HAProxy, Envoy and Tulle, each set up for the same work. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { createTestAuthority, type TestLeaf } from '../test/support/test-certificate.ts'
import { downstreamJson, upstreamJson } from '../test/support/transport-socket.ts'
import { allFeatures, type SubjectOptions } from './bootstrap.ts'
import { freePort } from './process.ts'
import { envoy, haproxyHop, tulle, type HopFiles, type Subject } from './subjects.ts'

/** Two proxies of one kind; requests enter at `client` and leave at `server`. */
export interface Pair {
  readonly name: string
  readonly client: Subject
  readonly server: Subject
}

/** Who calls the server's end directly, without a proxy of its own. */
export interface Caller {
  readonly leaf: TestLeaf
  readonly files: HopFiles
}

const trustDomain = 'cluster.local'
const spiffe = (account: string): string => `spiffe://${trustDomain}/ns/default/sa/${account}`

export async function listPairs({
  folder,
  originPort,
  alpn,
}: {
  readonly folder: string
  readonly originPort: number
  readonly alpn: string
}): Promise<{ readonly pairs: readonly Pair[]; readonly caller: Caller }> {
  const authority = await createTestAuthority()
  const [leaf, served] = [
    await authority.issue({ uris: [spiffe('client')] }),
    await authority.issue({ uris: [spiffe('server')] }),
  ]
  const writeFiles = (name: string, { chainPem, keyPem }: TestLeaf): HopFiles => {
    const leafFile = join(folder, `${name}.pem`)
    const rootFile = join(folder, 'root.pem')
    writeFileSync(leafFile, chainPem + keyPem, { mode: 0o600 })
    writeFileSync(rootFile, authority.rootPem)
    return { leafFile, rootFile }
  }
  const [clientFiles, serverFiles] = [writeFiles('client', leaf), writeFiles('server', served)]
  const bundles = { [trustDomain]: authority.rootPem }
  const inbound = downstreamJson({
    certificate: served,
    bundles,
    alpn: [alpn, 'http/1.1'],
    requires: true,
  })
  const outbound = upstreamJson({
    certificate: leaf,
    bundles,
    alpn: [alpn],
    sans: [spiffe('server')],
  })

  const pairOf = async (
    name: string,
    create: (options: SubjectOptions, side: 'client' | 'server') => Subject | undefined,
  ): Promise<Pair[]> => {
    const [port, entry] = [await freePort(), await freePort()]
    const server = create({ folder, originPort, port, tls: { inbound } }, 'server')
    const isUpstreamHttp2 = alpn === 'h2'
    const client = create(
      { folder, originPort: port, port: entry, tls: { outbound }, isUpstreamHttp2 },
      'client',
    )
    return server === undefined || client === undefined ? [] : [{ name, client, server }]
  }
  const pairs = [
    ...(await pairOf('HAProxy', (options, side) =>
      haproxyHop(options, { side, alpn, files: side === 'client' ? clientFiles : serverFiles }),
    )),
    ...(await pairOf('Envoy, as Istio sets it up', (options) => envoy(options, allFeatures))),
    ...(await pairOf('Tulle, default features', (options) =>
      tulle(options, { features: allFeatures, name: 'Tulle, default features' }),
    )),
  ]
  return { pairs, caller: { leaf, files: clientFiles } }
}
