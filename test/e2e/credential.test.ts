/**
 * Credentials of a DestinationRule in a running mesh: a server outside of it that demands its clients' certificates is
 * reached by those whom the rule chooses, with the files of a folder of their host, as they are at the moment.
 */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, after, before, suite, test } from 'node:test'
import type { TLSSocket } from 'node:tls'

import { eventually } from '../support/eventually.ts'
import { findEnvoy, skipUnless } from '../support/programs.ts'
import { RunningMesh } from '../support/running-mesh.ts'
import { httpGet } from '../support/sidecar-scene.ts'
import { createTestAuthority, type TestLeaf } from '../support/test-certificate.ts'

const skip = process.platform === 'linux' ? false : 'finds its processes in /proc of Linux'
const partner = await createTestAuthority('partner')
const stranger = await createTestAuthority('stranger')
const served = await partner.issue({ dns: ['partner.example'] })
const [first, second, foreign] = await Promise.all([
  partner.issue({ dns: ['first'] }),
  partner.issue({ dns: ['second'] }),
  stranger.issue({ dns: ['first'] }),
])

/** Answers with the name in the client's certificate. */
async function openPartner() {
  const options = {
    key: served.keyPem,
    cert: served.chainPem,
    ca: partner.rootPem,
    requestCert: true,
    rejectUnauthorized: true,
  }
  let plaintext = 0
  const server = createServer(options, (request, response) => {
    const { subjectaltname } = (request.socket as TLSSocket).getPeerCertificate()
    response.setHeader('connection', 'close').end(subjectaltname)
  })
  server.on('tlsClientError', (error: NodeJS.ErrnoException) => {
    if (error.code === 'ERR_SSL_HTTP_REQUEST') plaintext += 1
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { port, plaintext: () => plaintext, close: () => server.close() }
}

function configOf(port: number): string {
  const host = (name: string) => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: ${name} }
spec:
  hosts: [${name}.example]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP, targetPort: ${port} }]
  endpoints: [{ address: 127.0.0.1 }]
---`
  const rule = (name: string, credential: string, selector: string) => `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: ${name} }
spec:
  host: ${name}.example
  ${selector}
  trafficPolicy: { tls: { mode: MUTUAL, credentialName: ${credential}, sni: partner.example } }
---`
  const chosen = 'workloadSelector: { matchLabels: { app: load } }'
  return [
    host('partner'),
    rule('partner', 'partner', chosen),
    host('lost'),
    rule('lost', 'lost', chosen),
    host('anybody'),
    rule('anybody', 'partner', ''),
  ].join('')
}

function keep(mesh: { readonly folder: string }, leaf: TestLeaf, roots = partner.rootPem): void {
  const folder = join(mesh.folder, 'credentials/partner')
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'tls.crt'), leaf.chainPem)
  writeFileSync(join(folder, 'tls.key'), leaf.keyPem, { mode: 0o600 })
  writeFileSync(join(folder, 'ca.crt'), roots)
}

function get(mesh: RunningMesh, host: string) {
  const port = Number(new URL(mesh.proxyOf('load')).port)
  return httpGet({ port, path: '/', headers: { host } })
}

async function answers(mesh: RunningMesh, host: string, body: string | RegExp): Promise<void> {
  let last = ''
  try {
    await eventually(
      async () => {
        const answer = await get(mesh, host)
        last = `${answer.status} ${answer.body}`
        return typeof body === 'string' ? answer.body === body : body.test(last)
      },
      { deadlineMs: 15_000 },
    )
  } catch (cause) {
    throw new Error(`${host} answers ${last}`, { cause })
  }
}

function openScene(kind: 'tulle' | 'envoy') {
  let mesh: RunningMesh
  let server: Awaited<ReturnType<typeof openPartner>>
  before(async () => {
    server = await openPartner()
    mesh = await RunningMesh.startChanged(
      (folder) => {
        const file = join(folder, 'mesh-node.yaml')
        const text = readFileSync(file, 'utf8').replace(
          '\nspec:',
          '\nspec:\n  credentials: ./credentials',
        )
        writeFileSync(file, text)
        writeFileSync(join(folder, 'config/partner.yaml'), configOf(server.port))
        keep({ folder }, first)
      },
      ...(kind === 'envoy' ? ['--proxy', 'envoy', '--envoy', findEnvoy() ?? ''] : []),
    )
  })
  after(async () => {
    await mesh[Symbol.asyncDispose]()
    server.close()
  })
  return { mesh: () => mesh, server: () => server }
}

/** What is true of whatever sidecar. */
function proveCredentials(kind: 'tulle' | 'envoy'): void {
  const here = openScene(kind)

  test('a server that demands a certificate is reached with that of the folder', async () => {
    await answers(here.mesh(), 'partner.example', 'DNS:first')
  })

  test('files that change reach the sidecar without a restart', async () => {
    keep(here.mesh(), second)
    await answers(here.mesh(), 'partner.example', 'DNS:second')
  })

  test('authorities that change refuse a server that they did not sign', async () => {
    keep(here.mesh(), second, stranger.rootPem)
    await answers(here.mesh(), 'partner.example', /^503/)
    keep(here.mesh(), first)
    await answers(here.mesh(), 'partner.example', 'DNS:first')
  })

  test('a certificate that the server does not believe is no way in', async () => {
    keep(here.mesh(), foreign)
    await answers(here.mesh(), 'partner.example', /^503/)
    keep(here.mesh(), first)
    await answers(here.mesh(), 'partner.example', 'DNS:first')
  })

  test('a credential that is not there, and one for everybody, fail closed', async () => {
    await answers(here.mesh(), 'lost.example', /^503/)
    await answers(here.mesh(), 'anybody.example', /^503/)
    assert.equal(here.server().plaintext(), 0)
  })

  test('status says which credential is missing or broken, and that others may read a key', async () => {
    const folder = join(here.mesh().folder, 'credentials')
    chmodSync(join(folder, 'partner/tls.key'), 0o644)
    const why = async () => {
      const rows = JSON.parse((await here.mesh().tulle('status', '-o', 'json')).out) as {
        readonly name: string
        readonly credentials: readonly string[]
      }[]
      return rows.find(({ name }) => name === 'load')?.credentials.join('\n') ?? ''
    }
    await eventually(async () => /others than its owner/.test(await why()), { deadlineMs: 10_000 })
    assert.match(
      await why(),
      /credential kubernetes:\/\/lost: .*credentials\/lost has no tls.crt and tls.key/,
    )
    writeFileSync(join(folder, 'partner/tls.key'), second.keyPem)
    await eventually(async () => /is not the key of .*the one before stays/.test(await why()), {
      deadlineMs: 10_000,
    })
    await answers(here.mesh(), 'partner.example', 'DNS:first')
    const { out } = await here.mesh().tulle('status')
    assert.match(out, /credential kubernetes:\/\/lost/)
    keep(here.mesh(), first)
  })

  test('no key is anywhere but in its file', async (context: TestContext) => {
    const { home } = here.mesh()
    const key = first.keyPem.split('\n')[1] ?? ''
    const files = readdirSync(home, { recursive: true, withFileTypes: true })
    const read = files.filter((file) => file.isFile())
    context.diagnostic(`${read.length} files`)
    for (const file of read) {
      const path = join(file.parentPath, file.name)
      assert.ok(!readFileSync(path, 'latin1').includes(key), path)
    }
    const dump = await here.mesh().read({ admin: 'load' }, '/config_dump?include_eds')
    assert.match(dump, /kubernetes:\/\/partner/)
    assert.ok(!dump.includes(Buffer.from(first.keyPem).toString('base64').slice(0, 64)))
    assert.ok(!dump.includes(key))
  })
}

suite('credentials with our sidecar', { skip }, () => proveCredentials('tulle'))

suite('credentials with a real Envoy', { skip: skip || skipUnless(findEnvoy(), 'envoy') }, () =>
  proveCredentials('envoy'),
)
